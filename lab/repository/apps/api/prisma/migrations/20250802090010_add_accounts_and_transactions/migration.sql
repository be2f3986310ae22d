-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateEnum
CREATE TYPE "TxKind" AS ENUM ('DEPOSIT', 'WITHDRAWAL', 'PAYMENT', 'REFUND', 'REWARD');

-- CreateTable
CREATE TABLE "accounts" (
  "id" TEXT NOT NULL,
  "userId" TEXT NOT NULL,
  "currency" CHAR(3) NOT NULL DEFAULT 'EUR',
  "balanceCents" BIGINT NOT NULL
);

-- CreateTable
CREATE TABLE "transactions" (
  "id" TEXT NOT NULL,
  "accountId" TEXT NOT NULL,
  "kind" "TxKind" NOT NULL,
  "amountCents" BIGINT NOT NULL CHECK ("amountCents" > 0),
  "reference" TEXT,
  "metadata" JSONB,
  "createdAt" TIMESTAMP(3) NOT NULL
);

-- AddPrimaryKey
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_pkey" PRIMARY KEY ("id");
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_pkey" PRIMARY KEY ("id");

-- CreateIndex
CREATE UNIQUE INDEX "accounts_userId_currency_key" ON "accounts"("userId", "currency");
CREATE INDEX "transactions_accountId_createdAt_idx" ON "transactions"("accountId", "createdAt" DESC);
CREATE INDEX "transactions_kind_idx" ON "transactions"("kind");

-- AddForeignKey
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_accountId_fkey" FOREIGN KEY ("accountId") REFERENCES "accounts"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
