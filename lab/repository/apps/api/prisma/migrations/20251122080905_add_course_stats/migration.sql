-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateView
CREATE MATERIALIZED VIEW "course_stats" AS SELECT "courseId", count(*) AS enrolled, avg("progress") AS progress FROM "enrollments" GROUP BY 1;

-- CreateIndex
CREATE UNIQUE INDEX "course_stats_key" ON "course_stats"("courseId");
