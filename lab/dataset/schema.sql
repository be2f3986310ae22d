-- SPDX-License-Identifier: GPL-3.0-or-later
-- What `prisma migrate` leaves behind for an education-finance platform; run as the application's role.
CREATE SCHEMA "extensions";
CREATE TYPE "Role" AS ENUM ('LEARNER', 'TUTOR', 'ADMIN');
CREATE TYPE "TxKind" AS ENUM ('DEPOSIT', 'WITHDRAWAL', 'PAYMENT', 'REFUND', 'REWARD');
CREATE TYPE "EnrollState" AS ENUM ('ACTIVE', 'PAUSED', 'DONE', 'DROPPED');

CREATE TABLE "_prisma_migrations" (
  "id" VARCHAR(36) PRIMARY KEY NOT NULL, "checksum" VARCHAR(64) NOT NULL,
  "finished_at" TIMESTAMPTZ, "migration_name" VARCHAR(255) NOT NULL, "logs" TEXT,
  "rolled_back_at" TIMESTAMPTZ, "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(),
  "applied_steps_count" INTEGER NOT NULL DEFAULT 0);
CREATE TABLE "users" ("id" TEXT NOT NULL, "email" TEXT NOT NULL, "displayName" TEXT NOT NULL, "passwordHash" TEXT NOT NULL,
  "role" "Role" NOT NULL DEFAULT 'LEARNER', "locale" TEXT NOT NULL DEFAULT 'fr', "preferences" JSONB NOT NULL DEFAULT '{}',
  "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updatedAt" TIMESTAMP(3) NOT NULL);
CREATE TABLE "courses" ("id" TEXT NOT NULL, "slug" TEXT NOT NULL, "title" TEXT NOT NULL, "summary" TEXT, "priceCents" INTEGER NOT NULL,
  "authorId" TEXT NOT NULL, "tags" TEXT[], "publishedAt" TIMESTAMP(3));
CREATE TABLE "lessons" ("id" TEXT NOT NULL, "courseId" TEXT NOT NULL, "position" INTEGER NOT NULL, "title" TEXT NOT NULL, "body" TEXT NOT NULL);
CREATE TABLE "enrollments" ("id" TEXT NOT NULL, "userId" TEXT NOT NULL, "courseId" TEXT NOT NULL, "state" "EnrollState" NOT NULL DEFAULT 'ACTIVE',
  "progress" DOUBLE PRECISION NOT NULL DEFAULT 0, "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "lesson_progress" ("id" BIGSERIAL NOT NULL, "userId" TEXT NOT NULL, "lessonId" TEXT NOT NULL, "seconds" INTEGER NOT NULL, "completedAt" TIMESTAMP(3));
CREATE TABLE "quiz_attempts" ("id" SERIAL NOT NULL, "userId" TEXT NOT NULL, "lessonId" TEXT NOT NULL, "answers" JSONB NOT NULL, "score" NUMERIC(5,2) NOT NULL, "takenAt" TIMESTAMP(3) NOT NULL);
CREATE TABLE "accounts" ("id" TEXT NOT NULL, "userId" TEXT NOT NULL, "currency" CHAR(3) NOT NULL DEFAULT 'EUR', "balanceCents" BIGINT NOT NULL);
CREATE TABLE "transactions" ("id" TEXT NOT NULL, "accountId" TEXT NOT NULL, "kind" "TxKind" NOT NULL, "amountCents" BIGINT NOT NULL CHECK ("amountCents" > 0),
  "signedCents" BIGINT GENERATED ALWAYS AS (CASE WHEN "kind" IN ('WITHDRAWAL', 'PAYMENT') THEN -"amountCents" ELSE "amountCents" END) STORED,
  "reference" TEXT, "metadata" JSONB, "createdAt" TIMESTAMP(3) NOT NULL);
CREATE TABLE "savings_goals" ("id" SERIAL NOT NULL, "userId" TEXT NOT NULL, "label" TEXT NOT NULL, "targetCents" BIGINT NOT NULL, "dueOn" DATE);
CREATE TABLE "notifications" ("id" BIGSERIAL NOT NULL, "userId" TEXT NOT NULL, "payload" JSONB NOT NULL, "readAt" TIMESTAMP(3), "createdAt" TIMESTAMP(3) NOT NULL);
CREATE TABLE "sessions" ("id" TEXT NOT NULL, "userId" TEXT NOT NULL, "tokenHash" BYTEA NOT NULL, "expiresAt" TIMESTAMP(3) NOT NULL);
CREATE TABLE "behavior_logs" ("id" BIGSERIAL NOT NULL, "userId" TEXT, "sessionId" TEXT, "event" TEXT NOT NULL, "metadata" JSONB NOT NULL, "note" TEXT, "createdAt" TIMESTAMP(3) NOT NULL);
CREATE TABLE "integrity_checks" ("id" BIGINT GENERATED ALWAYS AS IDENTITY, "result" TEXT NOT NULL, "ranAt" TIMESTAMPTZ NOT NULL DEFAULT now());

INSERT INTO "_prisma_migrations"
SELECT md5(name)::uuid::text, encode(sha256(name::bytea), 'hex'), applied + interval '1 second', name, NULL, NULL, applied, 1
FROM (SELECT name, to_timestamp(left(name, 14), 'YYYYMMDDHH24MISS') AS applied FROM unnest(ARRAY[
  '20250614093012_init', '20250621150744_add_courses_and_lessons', '20250630081530_add_enrollments', '20250708101955_add_lesson_progress',
  '20250719134201_add_quiz_attempts', '20250802090010_add_accounts_and_transactions', '20250815161822_add_savings_goals',
  '20250903072649_add_notifications', '20250921184507_hash_session_tokens', '20251006111316_add_behavior_logs',
  '20251019095840_index_behavior_metadata', '20251104143227_add_signed_amount', '20251122080905_add_course_stats',
  '20251209170358_add_integrity_checks']) AS name) AS migration;
