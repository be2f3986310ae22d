-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateTable
CREATE TABLE "courses" (
  "id" TEXT NOT NULL,
  "slug" TEXT NOT NULL,
  "title" TEXT NOT NULL,
  "summary" TEXT,
  "priceCents" INTEGER NOT NULL,
  "authorId" TEXT NOT NULL,
  "tags" TEXT[],
  "publishedAt" TIMESTAMP(3)
);

-- CreateTable
CREATE TABLE "lessons" (
  "id" TEXT NOT NULL,
  "courseId" TEXT NOT NULL,
  "position" INTEGER NOT NULL,
  "title" TEXT NOT NULL,
  "body" TEXT NOT NULL
);

-- AddPrimaryKey
ALTER TABLE "courses" ADD CONSTRAINT "courses_pkey" PRIMARY KEY ("id");
ALTER TABLE "lessons" ADD CONSTRAINT "lessons_pkey" PRIMARY KEY ("id");

-- CreateIndex
CREATE UNIQUE INDEX "courses_slug_key" ON "courses"("slug");
CREATE UNIQUE INDEX "lessons_courseId_position_key" ON "lessons"("courseId", "position");

-- AddForeignKey
ALTER TABLE "courses" ADD CONSTRAINT "courses_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "users"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "lessons" ADD CONSTRAINT "lessons_courseId_fkey" FOREIGN KEY ("courseId") REFERENCES "courses"("id") ON DELETE CASCADE ON UPDATE CASCADE;
