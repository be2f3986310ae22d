-- SPDX-License-Identifier: GPL-3.0-or-later
-- CreateTable
CREATE TABLE "integrity_checks" (
  "id" BIGINT GENERATED ALWAYS AS IDENTITY,
  "result" TEXT NOT NULL,
  "ranAt" TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- AddPrimaryKey
ALTER TABLE "integrity_checks" ADD CONSTRAINT "integrity_checks_pkey" PRIMARY KEY ("id");

-- Grant
GRANT USAGE ON SCHEMA "extensions" TO "vedfinance_report";
GRANT SELECT ON ALL TABLES IN SCHEMA "public" TO "vedfinance_report";
REVOKE SELECT ON "users", "sessions" FROM "vedfinance_report";
GRANT SELECT ("id", "displayName", "role", "locale", "createdAt") ON "users" TO "vedfinance_report";
ALTER DEFAULT PRIVILEGES IN SCHEMA "public" GRANT SELECT ON TABLES TO "vedfinance_report";
