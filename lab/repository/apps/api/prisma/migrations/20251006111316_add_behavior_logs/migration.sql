-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateTable
CREATE TABLE "behavior_logs" (
  "id" BIGSERIAL NOT NULL,
  "userId" TEXT,
  "sessionId" TEXT,
  "event" TEXT NOT NULL,
  "metadata" JSONB NOT NULL,
  "note" TEXT,
  "createdAt" TIMESTAMP(3) NOT NULL
);

-- AddPrimaryKey
ALTER TABLE "behavior_logs" ADD CONSTRAINT "behavior_logs_pkey" PRIMARY KEY ("id");

-- CreateIndex
CREATE INDEX "behavior_logs_userId_createdAt_idx" ON "behavior_logs"("userId", "createdAt");
CREATE INDEX "behavior_logs_event_idx" ON "behavior_logs"("event");
CREATE INDEX "behavior_logs_createdAt_idx" ON "behavior_logs"("createdAt");

-- AddForeignKey
ALTER TABLE "behavior_logs" ADD CONSTRAINT "behavior_logs_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "behavior_logs" ADD CONSTRAINT "behavior_logs_sessionId_fkey" FOREIGN KEY ("sessionId") REFERENCES "sessions"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- Comment
COMMENT ON TABLE "behavior_logs" IS 'raw events; never edit by hand';
