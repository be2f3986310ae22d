-- SPDX-License-Identifier: GPL-3.0-or-later
-- Adds the rows of one stretch of time. psql variables: :from and :to, the scale reached before and after (1 = 4 million rows),
-- :begin and :end, the moments (UTC) between which the rows were made. The same four give the same rows.
\set ON_ERROR_STOP 1
SET search_path = public;
SET timezone = 'UTC';
SET statement_timeout = 0;
SELECT setseed(mod(:to::numeric, 1)) \g /dev/null
CREATE FUNCTION pg_temp.cuid(p text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT p || substr(md5(p || n::text), 1, 23) $$;
CREATE FUNCTION pg_temp.words(n bigint, len int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
 SELECT string_agg((ARRAY['budget','épargne','loan','interest','inflation','quiz','module','lesson','compound','risk','stock','bond','wallet','goal','reward','tax','rate','credit','debit','chapter','retirement','portfolio','coach','progress'])[1 + (('x'||substr(md5(n::text||':'||i::text),1,6))::bit(24)::int % 24)], ' ') FROM generate_series(1, len) i $$;
-- the numbers of the new rows of a table that has :per_scale rows at scale 1
CREATE FUNCTION pg_temp.fresh(per_scale bigint, lower_scale float8, upper_scale float8) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE AS $$
 SELECT generate_series((per_scale * lower_scale)::bigint + 1, (per_scale * upper_scale)::bigint) $$;
-- a moment between :begin and :end in proportion to a row's place among the new ones
CREATE FUNCTION pg_temp.moment(i bigint, per_scale bigint, lower_scale float8, upper_scale float8, opened timestamp, closed timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE AS $$
 SELECT opened + (closed - opened) * ((i - per_scale * lower_scale) / (per_scale * (upper_scale - lower_scale) + 1)) $$;
SELECT (100000 * :to)::bigint AS users, (150000 * :to)::bigint AS sessions, 1000 + (9000 * :to)::bigint AS lessons \gset

BEGIN;
INSERT INTO users SELECT pg_temp.cuid('u',i), 'learner'||i||'@example-'||(i%37)||'.test', initcap(pg_temp.words(i,2))||' '||i, '$2b$12$'||md5(i::text)||substr(md5((i*7)::text),1,21),
  (CASE WHEN i%400=0 THEN 'ADMIN' WHEN i%40=0 THEN 'TUTOR' ELSE 'LEARNER' END)::"Role", 'fr', jsonb_build_object('theme', CASE WHEN i%2=0 THEN 'dark' ELSE 'light' END,'digest',i%3,'tips',i%5=0),
  pg_temp.moment(i, 100000, :from, :to, :'begin', :'end'), pg_temp.moment(i, 100000, :from, :to, :'begin', :'end') FROM pg_temp.fresh(100000, :from, :to) i;
INSERT INTO courses SELECT pg_temp.cuid('c',i), 'course-'||i, initcap(pg_temp.words(i,4)), pg_temp.words(i,30), 1000+(i%40)*100, pg_temp.cuid('u',1+(i*37)%:users), ARRAY['t'||i%9,'level "'||i%3||'"'], :'begin'
  FROM generate_series(1,500) i WHERE NOT EXISTS (SELECT FROM courses);
INSERT INTO lessons SELECT pg_temp.cuid('l',i), pg_temp.cuid('c',1+(i%500)), i/500, initcap(pg_temp.words(i,3)), pg_temp.words(i,30)||E'\nline two\t tab \\ backslash; -- not a comment $$ '||pg_temp.words(i+1,30)
  FROM generate_series((SELECT count(*) FROM lessons), :lessons - 1) i;
INSERT INTO enrollments SELECT pg_temp.cuid('e',i), pg_temp.cuid('u',least(1+(i-1)*2/5,:users)), pg_temp.cuid('c',1+(i*131)%500), (ARRAY['ACTIVE','PAUSED','DONE','DROPPED'])[1+i%4]::"EnrollState", random(),
  pg_temp.moment(i, 250000, :from, :to, :'begin', :'end') FROM pg_temp.fresh(250000, :from, :to) i;
INSERT INTO lesson_progress("userId","lessonId",seconds,"completedAt") SELECT pg_temp.cuid('u',1+floor(random()*:users)::bigint), pg_temp.cuid('l',floor(random()*:lessons)::bigint), (random()*3000)::int,
  CASE WHEN i%3>0 THEN pg_temp.moment(i, 500000, :from, :to, :'begin', :'end') END FROM pg_temp.fresh(500000, :from, :to) i;
INSERT INTO quiz_attempts("userId","lessonId",answers,score,"takenAt") SELECT pg_temp.cuid('u',1+floor(random()*:users)::bigint), pg_temp.cuid('l',floor(random()*:lessons)::bigint),
  jsonb_build_object('q1',i%4,'q2',i%5,'q3',jsonb_build_array(i%2,i%3,'why: '||(i%100))), (random()*100)::numeric(5,2), pg_temp.moment(i, 200000, :from, :to, :'begin', :'end') FROM pg_temp.fresh(200000, :from, :to) i;
INSERT INTO accounts SELECT pg_temp.cuid('a',i), pg_temp.cuid('u',i), 'EUR', 0 FROM pg_temp.fresh(100000, :from, :to) i;
-- an opening deposit that later payments cannot use up, so that no balance is ever negative
INSERT INTO transactions(id,"accountId",kind,"amountCents",reference,metadata,"createdAt") SELECT pg_temp.cuid('o',i), pg_temp.cuid('a',i), 'DEPOSIT', 4000000+(random()*1e6)::bigint, 'opening deposit', NULL, pg_temp.moment(i, 100000, :from, :to, :'begin', :'end')
  FROM pg_temp.fresh(100000, :from, :to) i;
INSERT INTO transactions(id,"accountId",kind,"amountCents",reference,metadata,"createdAt") SELECT pg_temp.cuid('t',i), pg_temp.cuid('a',1+floor(random()*:users)::bigint), (ARRAY['DEPOSIT','WITHDRAWAL','PAYMENT','REFUND','REWARD'])[1+i%5]::"TxKind", 1+(random()*1e5)::bigint,
  CASE WHEN i%4=0 THEN 'ref '||md5(i::text) END, CASE WHEN i%3=0 THEN jsonb_build_object('ip','10.0.'||(i%250)||'.'||(i%199),'channel',(ARRAY['web','ios','android'])[1+i%3]) END,
  pg_temp.moment(i, 500000, :from, :to, :'begin', :'end') FROM pg_temp.fresh(500000, :from, :to) i;
UPDATE accounts SET "balanceCents" = booked.total FROM (SELECT "accountId", sum("signedCents") AS total FROM transactions GROUP BY 1) booked
  WHERE accounts.id = booked."accountId" AND accounts."balanceCents" <> booked.total;
INSERT INTO savings_goals("userId",label,"targetCents","dueOn") SELECT pg_temp.cuid('u',1+floor(random()*:users)::bigint), pg_temp.words(i,3), 100+(random()*1e6)::bigint, :'end'::date + (i%700)::int FROM pg_temp.fresh(100000, :from, :to) i;
INSERT INTO notifications("userId",payload,"readAt","createdAt") SELECT pg_temp.cuid('u',1+floor(random()*:users)::bigint), jsonb_build_object('kind','nudge','text',pg_temp.words(i%5000,8),'n',i),
  CASE WHEN i%3=0 THEN :'end'::timestamp END, pg_temp.moment(i, 250000, :from, :to, :'begin', :'end') FROM pg_temp.fresh(250000, :from, :to) i;
INSERT INTO sessions(id,"userId","tokenHash","expiresAt") SELECT pg_temp.cuid('s',i), pg_temp.cuid('u',1+floor(random()*:users)::bigint), decode(md5(i::text)||md5((i+5)::text),'hex'),
  pg_temp.moment(i, 150000, :from, :to, :'begin', :'end') + interval '30 days' FROM pg_temp.fresh(150000, :from, :to) i;
INSERT INTO behavior_logs("userId","sessionId",event,metadata,note,"createdAt")
 SELECT CASE WHEN i%50>0 THEN pg_temp.cuid('u',1+floor(random()*:users)::bigint) END, CASE WHEN i%10>2 THEN pg_temp.cuid('s',1+floor(random()*:sessions)::bigint) END,
  (ARRAY['page_view','click','quiz_start','quiz_end','video_play','video_pause','pay_open','pay_done','goal_set','scroll'])[1+i%10],
  jsonb_build_object('path','/courses/'||(i%500)||'/lessons/'||(i%20),'ms',(random()*30000)::int,'ua','Mozilla/5.0 (X11; Linux x86_64) App/'||(i%30)||'.'||(i%7),'screen',jsonb_build_object('w',1280+(i%4)*160,'h',720+(i%3)*90),'flags',jsonb_build_array(i%2=0,i%3=0,'exp-'||(i%16)),'trace',md5(i::text)),
  CASE WHEN i%20=0 THEN E'free text with \t tab and \n newline; "quoted" and \\. fake terminator '||(i%1000) END, pg_temp.moment(i, 1700000, :from, :to, :'begin', :'end')
 FROM pg_temp.fresh(1700000, :from, :to) i;
INSERT INTO integrity_checks("result","ranAt") SELECT 'OK', :'end'::timestamptz - interval '1 hour' * i FROM generate_series(3, 1, -1) i;
COMMIT;
