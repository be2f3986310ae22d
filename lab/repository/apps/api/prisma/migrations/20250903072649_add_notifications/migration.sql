-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateTable
CREATE TABLE "notifications" (
  "id" BIGSERIAL NOT NULL,
  "userId" TEXT NOT NULL,
  "payload" JSONB NOT NULL,
  "readAt" TIMESTAMP(3),
  "createdAt" TIMESTAMP(3) NOT NULL
);

-- AddPrimaryKey
ALTER TABLE "notifications" ADD CONSTRAINT "notifications_pkey" PRIMARY KEY ("id");

-- CreateIndex
CREATE INDEX "notifications_unread_idx" ON "notifications"("userId") WHERE "readAt" IS NULL;

-- AddForeignKey
ALTER TABLE "notifications" ADD CONSTRAINT "notifications_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
