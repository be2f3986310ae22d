-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateTable
CREATE TABLE "quiz_attempts" (
  "id" SERIAL NOT NULL,
  "userId" TEXT NOT NULL,
  "lessonId" TEXT NOT NULL,
  "answers" JSONB NOT NULL,
  "score" NUMERIC(5,2) NOT NULL,
  "takenAt" TIMESTAMP(3) NOT NULL
);

-- AddPrimaryKey
ALTER TABLE "quiz_attempts" ADD CONSTRAINT "quiz_attempts_pkey" PRIMARY KEY ("id");

-- CreateIndex
CREATE INDEX "quiz_attempts_userId_idx" ON "quiz_attempts"("userId");

-- AddForeignKey
ALTER TABLE "quiz_attempts" ADD CONSTRAINT "quiz_attempts_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "quiz_attempts" ADD CONSTRAINT "quiz_attempts_lessonId_fkey" FOREIGN KEY ("lessonId") REFERENCES "lessons"("id") ON DELETE CASCADE ON UPDATE CASCADE;
