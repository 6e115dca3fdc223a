"""Many hosts in one command: a plan, processes that each read one host at a time, and a merge of what they leave.

    plan ──tasks──▶ runner ──▶ work, in other processes ──▶ one host's parts and manifest in the state folder
                      └──outcomes (counts, never documents)──▶ run ──parts──▶ merge ──▶ the sinks

The manifest of a host, written by rename when its parts are safe, is the truth for `--resume`, whatever ran it.
"""
