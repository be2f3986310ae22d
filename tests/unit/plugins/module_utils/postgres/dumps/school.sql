-- SPDX-License-Identifier: GPL-3.0-or-later
--
-- PostgreSQL database dump
--

\restrict a4QPXhcve7CKkUN8cyxgoT8ZuS8UwNduqZAmbLaxv7TiVpge8wq8YvAyWgAmRaR

-- Dumped from database version 16.14
-- Dumped by pg_dump version 16.14

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: mood; Type: TYPE; Schema: public; Owner: vedfinance_app
--

CREATE TYPE public.mood AS ENUM (
    'fine;',
    'it''s'
);


ALTER TYPE public.mood OWNER TO vedfinance_app;

--
-- Name: touch(); Type: FUNCTION; Schema: public; Owner: vedfinance_app
--

CREATE FUNCTION public.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$ BEGIN NEW.note := $$it's; \. $$; RETURN NEW; END $_$;


ALTER FUNCTION public.touch() OWNER TO vedfinance_app;

--
-- Name: twice(text); Type: FUNCTION; Schema: public; Owner: vedfinance_app
--

CREATE FUNCTION public.twice(a text) RETURNS text
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT 'a;b'::text AS l;
 SELECT
         CASE
             WHEN (a = 'end'::text) THEN a
             ELSE (a || a)
         END AS "case";
END;


ALTER FUNCTION public.twice(a text) OWNER TO vedfinance_app;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: empty; Type: TABLE; Schema: public; Owner: vedfinance_app
--

CREATE TABLE public.empty (
    n integer
);


ALTER TABLE public.empty OWNER TO vedfinance_app;

--
-- Name: users; Type: TABLE; Schema: public; Owner: vedfinance_app
--

CREATE TABLE public.users (
    id integer NOT NULL,
    name text NOT NULL,
    mood public.mood DEFAULT 'fine;'::public.mood,
    CONSTRAINT named CHECK ((name <> ')'::text))
);


ALTER TABLE public.users OWNER TO vedfinance_app;

--
-- Name: names; Type: VIEW; Schema: public; Owner: vedfinance_app
--

CREATE VIEW public.names AS
 SELECT name
   FROM public.users;


ALTER VIEW public.names OWNER TO vedfinance_app;

--
-- Name: notes; Type: TABLE; Schema: public; Owner: vedfinance_app
--

CREATE TABLE public.notes (
    id bigint NOT NULL,
    "user" integer,
    note text
);


ALTER TABLE public.notes OWNER TO vedfinance_app;

--
-- Name: notes_id_seq; Type: SEQUENCE; Schema: public; Owner: vedfinance_app
--

CREATE SEQUENCE public.notes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER SEQUENCE public.notes_id_seq OWNER TO vedfinance_app;

--
-- Name: notes_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: vedfinance_app
--

ALTER SEQUENCE public.notes_id_seq OWNED BY public.notes.id;


--
-- Name: odd;"$$; Type: TABLE; Schema: public; Owner: vedfinance_app
--

CREATE TABLE public."odd;""$$" (
    "a""b;" text,
    "select" text
);


ALTER TABLE public."odd;""$$" OWNER TO vedfinance_app;

--
-- Name: users_id_seq; Type: SEQUENCE; Schema: public; Owner: vedfinance_app
--

ALTER TABLE public.users ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: notes id; Type: DEFAULT; Schema: public; Owner: vedfinance_app
--

ALTER TABLE ONLY public.notes ALTER COLUMN id SET DEFAULT nextval('public.notes_id_seq'::regclass);


--
-- Data for Name: empty; Type: TABLE DATA; Schema: public; Owner: vedfinance_app
--

COPY public.empty (n) FROM stdin;
\.


--
-- Data for Name: notes; Type: TABLE DATA; Schema: public; Owner: vedfinance_app
--

COPY public.notes (id, "user", note) FROM stdin;
1	1	two\nlines\\.
2	2	-- PostgreSQL database dump complete
3	3	\\.
4	4	\N
5	5	COPY x FROM stdin;
\.


--
-- Data for Name: odd;"$$; Type: TABLE DATA; Schema: public; Owner: vedfinance_app
--

COPY public."odd;""$$" ("a""b;", "select") FROM stdin;
\\connect postgres	\\unrestrict
tab\there	
\.


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: vedfinance_app
--

COPY public.users (id, name, mood) FROM stdin;
1	user 1	fine;
2	user 2	fine;
3	user 3	fine;
4	user 4	fine;
5	user 5	fine;
\.


--
-- Name: notes_id_seq; Type: SEQUENCE SET; Schema: public; Owner: vedfinance_app
--

SELECT pg_catalog.setval('public.notes_id_seq', 5, true);


--
-- Name: users_id_seq; Type: SEQUENCE SET; Schema: public; Owner: vedfinance_app
--

SELECT pg_catalog.setval('public.users_id_seq', 5, true);


--
-- Name: notes notes_pkey; Type: CONSTRAINT; Schema: public; Owner: vedfinance_app
--

ALTER TABLE ONLY public.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: public; Owner: vedfinance_app
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: notes_note; Type: INDEX; Schema: public; Owner: vedfinance_app
--

CREATE INDEX notes_note ON public.notes USING btree (lower(note)) WHERE (note <> ';'::text);


--
-- Name: notes again; Type: RULE; Schema: public; Owner: vedfinance_app
--

CREATE RULE again AS
    ON UPDATE TO public.notes DO ( INSERT INTO public.empty (n)
  VALUES (1);
 INSERT INTO public.empty (n)
  VALUES (2);
);


--
-- Name: notes on;insert; Type: TRIGGER; Schema: public; Owner: vedfinance_app
--

CREATE TRIGGER "on;insert" BEFORE INSERT ON public.notes FOR EACH ROW EXECUTE FUNCTION public.touch();


--
-- Name: notes later; Type: FK CONSTRAINT; Schema: public; Owner: vedfinance_app
--

ALTER TABLE ONLY public.notes
    ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES public.users(id) NOT VALID;


--
-- Name: notes notes_user_fkey; Type: FK CONSTRAINT; Schema: public; Owner: vedfinance_app
--

ALTER TABLE ONLY public.notes
    ADD CONSTRAINT notes_user_fkey FOREIGN KEY ("user") REFERENCES public.users(id);


--
-- Name: notes own; Type: POLICY; Schema: public; Owner: vedfinance_app
--

CREATE POLICY own ON public.notes FOR SELECT TO vedfinance_report USING ((note <> ';'::text));


--
-- PostgreSQL database dump complete
--

\unrestrict a4QPXhcve7CKkUN8cyxgoT8ZuS8UwNduqZAmbLaxv7TiVpge8wq8YvAyWgAmRaR

