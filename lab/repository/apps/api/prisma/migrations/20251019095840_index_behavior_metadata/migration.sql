-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateIndex
CREATE INDEX "behavior_logs_metadata_idx" ON "behavior_logs" USING gin ("metadata" jsonb_path_ops);
