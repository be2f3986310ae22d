-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateTable
CREATE TABLE "lesson_progress" (
  "id" BIGSERIAL NOT NULL,
  "userId" TEXT NOT NULL,
  "lessonId" TEXT NOT NULL,
  "seconds" INTEGER NOT NULL,
  "completedAt" TIMESTAMP(3)
);

-- AddPrimaryKey
ALTER TABLE "lesson_progress" ADD CONSTRAINT "lesson_progress_pkey" PRIMARY KEY ("id");

-- CreateIndex
CREATE INDEX "lesson_progress_userId_lessonId_idx" ON "lesson_progress"("userId", "lessonId");

-- AddForeignKey
ALTER TABLE "lesson_progress" ADD CONSTRAINT "lesson_progress_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "lesson_progress" ADD CONSTRAINT "lesson_progress_lessonId_fkey" FOREIGN KEY ("lessonId") REFERENCES "lessons"("id") ON DELETE CASCADE ON UPDATE CASCADE;
