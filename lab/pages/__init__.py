# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of Cloudflare Pages: its API for one account, with builds that take time, fail or are skipped.

As a program, after C(seed) has made the state file that it serves:

    python -m lab.pages --state DIR --port N --tempo T

Within a process:

    seeded = seed(state)                        # account_id, api_token, read_token, project
    with Double(state, tempo=0.1) as double:    # double.url ends with /client/v4, as Cloudflare's base does
        double.model.push(Push("main", commit, "feat: charts"))

The git host tells it of a push with C(POST /lab/push), beside the API and without a token:

    {"branch": "main", "commit": "<40 hex digits>", "message": "…", "behaviour": "ok"}

and is answered C({"deployment": id, or null}). It is null when automatic deployments of that branch are off; the head
of the branch is remembered all the same, and a deployment that is asked for builds it. C(behaviour) may be left out.
It is one of C(ok), C(fail) (in the stage C(build)), C(fail:<stage>), C(flaky) (its first build fails), C(canceled),
C(skip) and C(stuck) (the build never ends). A message may say it too: C([pages: fail]). One with C([CI Skip]) or
C([CF-Pages-Skip]) is skipped, as the real one does.

Nothing runs in the background: a timeline is fixed when a deployment is made, and what is answered depends on the
clock alone. So a double that was away, or killed, goes on as a cloud does.
"""
