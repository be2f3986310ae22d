-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateTable
CREATE TABLE "savings_goals" (
  "id" SERIAL NOT NULL,
  "userId" TEXT NOT NULL,
  "label" TEXT NOT NULL,
  "targetCents" BIGINT NOT NULL,
  "dueOn" DATE
);

-- AddPrimaryKey
ALTER TABLE "savings_goals" ADD CONSTRAINT "savings_goals_pkey" PRIMARY KEY ("id");

-- CreateIndex
CREATE INDEX "savings_goals_userId_idx" ON "savings_goals"("userId");

-- AddForeignKey
ALTER TABLE "savings_goals" ADD CONSTRAINT "savings_goals_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
