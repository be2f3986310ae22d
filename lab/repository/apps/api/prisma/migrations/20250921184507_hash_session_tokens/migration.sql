-- SPDX-License-Identifier: GPL-3.0-or-later
-- AlterTable
ALTER TABLE "sessions" DROP COLUMN "token", ADD COLUMN "tokenHash" BYTEA NOT NULL;
