-- SPDX-License-Identifier: GPL-3.0-or-later
-- AlterTable
ALTER TABLE "transactions" ADD COLUMN "signedCents" BIGINT GENERATED ALWAYS AS (CASE WHEN "kind" IN ('WITHDRAWAL', 'PAYMENT') THEN -"amountCents" ELSE "amountCents" END) STORED;

-- CreateView
CREATE VIEW "ledger" AS SELECT a."userId", sum(t."signedCents") AS total FROM "transactions" t JOIN "accounts" a ON a.id = t."accountId" GROUP BY 1;
