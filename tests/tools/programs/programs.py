"""The programs, and how each saves: a row of a table for most, a few lines for an editor.

A script runs in the table's directory. It has $ROW, the row's file; $OLD and $NEW, what becomes what in the text;
$COLUMN and $VALUE, the same as a column and its JSON value; $EDITED, a file outside with the text as it shall be;
$OUT, a folder outside with copies of the directory in edited/ (that file alone) and tree/; and $MIDDLE, which a script
that reads the row runs before it saves: there somebody else may change the row. A script that saves another text than
that of $EDITED leaves it in $OUT/wrote."""

import re

from program import Command, Editor

SHELL = "a shell does not report that closing the redirected file failed: what it closes last is a duplicate"
PYTHON = "python does not report that closing a file failed which the program never closed itself"
EX = "ex -s writes nothing where it would have to ask first, on any file system, and says nothing"
GIT = "git does not look at what close answers"
TWO = "one process reads the row and another one saves it, which was not based on what the first had read"
REPLACED = ("DELETE", "INSERT")
UNLINKS = dict.fromkeys(("gone", "overwritten"), "it removes the row before it makes it anew")
GIT_UNLINKS = {**UNLINKS, "silent": GIT}


def vim(name, *settings, **more):
    return Editor(name, needs="vim",
                  command="vim -u DEFAULTS " + " ".join(f"-c 'set {setting}'" for setting in settings),
                  edit=(":%s/{old}/{new}/", "Enter"), save=(":w", "Enter"), saved=r"\d+B written",
                  refused=r"E\d+: ", asks={r"really want to write": ("y",)}, calm=("Enter", "C-l", ":", "Escape"),
                  leave=(":q!", "Enter"), **more)


def nano(name, command, **more):
    return Editor(name, needs="nano", command=f"{command} --ignorercfiles",
                  edit=("M-\\", "C-\\", "{old}", "Enter", "{new}", "Enter", "y"), save=("C-s",),
                  saved=r"Wrote \d+ lines", refused="Error writing", asks={"continue saving": ("y",)}, calm=("C-c",),
                  leave=("C-x",), asked_to_leave={"Save modified buffer": ("n",)}, **more)


def emacs(name, **more):
    return Editor(name, needs="emacs", command="emacs -nw -Q --eval '(setq inhibit-startup-screen t)'",
                  edit=("M-<", "M-x", re.compile("^M-x"), "replace-string", "Enter", re.compile("^Replace string"),
                        "{old}", "Enter", re.compile("^Replace string .*with:"), "{new}", "Enter"),
                  save=("C-x", "C-s"), saved="^Wrote ", refused="rror: |^[A-Z][a-z]+ing .*: [A-Z]",
                  asks={"really edit the buffer": ("y",), "Save anyway": ("yes", "Enter")}, calm=("M-<",),
                  leave=("C-x", "C-c"), asked_to_leave={"Save file .*y, n": ("n",), "exit anyway": ("yes", "Enter")},
                  leaves=("42.json~",), keeps=("#42.json#",), **more)


EDITORS = (
    vim("vim"),
    vim("vim, backupcopy=yes", "backupcopy=yes", keeps=("42.json~",)),
    vim("vim, backupcopy=no", "backupcopy=no"),
    vim("vim, nofsync", "nofsync"),
    nano("nano", "nano"),
    nano("nano -B", "nano -B", leaves=("42.json~",)),
    emacs("emacs"),
    emacs("emacs, a later save", first=True),
    emacs("emacs, with an auto-save before", draft=("M-x", re.compile("^M-x"), "do-auto-save", "Enter"),
          draft_names=("#42.json#", ".#42.json")),
    Editor("joe", needs="joe", command="joe",
           edit=("C-k", "u", "C-k", "f", "{old}", "Enter", "r", "Enter", "{new}", "Enter", "y"),
           save=("C-k", "d", "Enter"), saved="File .* saved", refused="rror|ailed|ould", asks={"verwrite": ("y",)},
           calm=("C-r",), leave=("C-k", "q"), asked_to_leave={"Lose changes": ("y",), "been modified": ("n",)},
           leaves=("42.json~",)),
    Editor("mcedit", needs="mcedit", command="mcedit", edit=("F4", "{old}", "Tab", "{new}", "Enter", "Enter"),
           save=("F2",), confirms={"Confirm save": ("Enter",)}, saved=r"\[-{4}\]", refused=" Save As ",
           asks={"Save anyway": ("y",)}, dismiss={"Save As": ("F10",)}, leave=("F10",),
           asked_to_leave={"modified|Save before": ("n",)}),
    Editor("micro", needs="micro", command="micro", edit=("C-e", "replaceall {old} {new}", "Enter"),
           save=("C-s",), saved="Saved ", refused="^(close|open|write|sync|rename) |using sudo",
           asks={"Reload": ("n", "C-s")}, dismiss={"using sudo": ("n",)}, calm=("C-e", "show autosave", "Enter"),
           leave=("C-q",), asked_to_leave={"Save changes": ("n",)}),
)
PYTHON_READS = """import os, subprocess
e = os.environ
row = e['ROW']
text = open(row).read().replace(e['OLD'], e['NEW'])"""
NODE_READS = """const fs = require('fs'), e = process.env;
    const text = fs.readFileSync(e.ROW, 'utf8').replace(e.OLD, e.NEW);
    require('child_process').execFileSync(e.MIDDLE);"""
PATCH = """printf '{"%s": %s}\\n' "$COLUMN" "$VALUE" >"$OUT/wrote";"""
ONE_NEW_ROW = """sed 's/"id": 42/"id": 44/' "$EDITED" >"$OUT/wrote"; """
COMMANDS = (
    # Filters that replace the file
    Command("sed -i", script='sed -i -e "1e $MIDDLE" -e "s/$OLD/$NEW/" "$ROW"'),
    Command("perl -i", script="""perl -i -pe 'system($ENV{MIDDLE}) if $. == 1; s/$ENV{OLD}/$ENV{NEW}/' "$ROW" """),
    Command("ex", needs="ex", script=r"""printf '%s\n' "silent !$MIDDLE" "%s/$OLD/$NEW/" wq | ex -u NONE -s "$ROW" """,
            keeps=("42.json~",), reasons=dict.fromkeys(("silent", "lost", "wrong"), EX)),
    Command("ed", needs="ed", script=r"""printf '%s\n' "!$MIDDLE" ",s/$OLD/$NEW/" w q | ed -s "$ROW" """),
    Command("awk, print >", script="""awk '{ sub(ENVIRON["OLD"], ENVIRON["NEW"]); text = text $0 "\\n" }
        END { system(ENVIRON["MIDDLE"]); printf "%s", text >ENVIRON["ROW"] }' "$ROW" """),
    Command("sponge", needs="sponge", script='{ sed "s/$OLD/$NEW/" "$ROW"; "$MIDDLE"; } | sponge "$ROW"',
            reasons={"overwritten": TWO}),
    Command("jq and mv", script="""jq ".$COLUMN = $VALUE" "$ROW" >.42.tmp && "$MIDDLE" && mv .42.tmp "$ROW" """,
            reasons={"overwritten": TWO}, keeps=(".42.tmp",), without=("syntax",)),
    Command("patch", needs="patch", script='diff -u "$ROW" "$EDITED" >"$OUT/diff"; patch -s "$ROW" "$OUT/diff"',
            source="the patch"),
    Command("sort -o", script='sort -s -k 99 -o "$ROW" "$EDITED"', source="the source"),
    # Languages
    Command("python, open and close", script=f"""python3 -c "{PYTHON_READS}
subprocess.run(e['MIDDLE'])
with open(row, 'w') as f: f.write(text)" """),
    Command("python, never closed", script=f"""python3 -c "{PYTHON_READS}
subprocess.run(e['MIDDLE'])
open(row, 'w').write(text)" """, reasons={"silent": PYTHON}),
    Command("python, os.replace", script=f"""python3 -c "{PYTHON_READS}
open('.42.tmp', 'w').write(text)
subprocess.run(e['MIDDLE'])
os.replace('.42.tmp', row)" """, keeps=(".42.tmp",)),
    Command("node, writeFileSync", needs="node",
            script=f"""node -e "{NODE_READS} fs.writeFileSync(e.ROW, text)" """),
    Command("node, writeFile", needs="node",
            script=f"""node -e "{NODE_READS}
                fs.writeFile(e.ROW, text, (error) => {{ if (error) throw error; }})" """),
    # Copies
    Command("cp", script='cp "$EDITED" "$ROW"', source="the source"),
    Command("cp -a", script='cp -a "$EDITED" "$ROW"', source="the source"),
    Command("install", script='install -m 600 "$EDITED" "$ROW"', source="the source", sends=REPLACED, reasons=UNLINKS),
    Command("mv in", script='mv "$EDITED" "$ROW"', source="the source", sends=REPLACED, reasons=UNLINKS),
    Command("mv out, sed, mv in", sends=REPLACED, reasons=UNLINKS, own_file="moved",
            script='mv "$ROW" "$OUT/moved" && sed -i "s/$OLD/$NEW/" "$OUT/moved" && mv "$OUT/moved" "$ROW"'),
    Command("tee", script='tee "$ROW" <"$EDITED" >"$OUT/copy"', source="the source"),
    Command("dd conv=fsync", script='dd if="$EDITED" of="$ROW" conv=fsync status=none', source="the source"),
    Command("rsync", needs="rsync", script='rsync -a "$OUT/tree/" .', source="the source"),
    Command("rsync --inplace", needs="rsync", script='rsync -a --inplace "$OUT/tree/" .', source="the source"),
    Command("rsync --delay-updates", needs="rsync", keeps=(".~tmp~",),
            script='rsync -a --delay-updates "$OUT/tree/" .', source="the source"),
    Command("rsync --delete", needs="rsync", script='rsync -a --delete "$OUT/tree/" .', source="the source"),
    Command("rsync --partial", needs="rsync", script='rsync -a --partial "$OUT/tree/" .', source="the source"),
    # Archives
    Command("tar x", script='tar -C "$OUT/edited" -cf "$OUT/a.tar" 42.json && tar -xf "$OUT/a.tar"',
            source="the archive", sends=REPLACED, reasons=UNLINKS),
    Command("tar x --overwrite", source="the archive",
            script='tar -C "$OUT/edited" -cf "$OUT/a.tar" 42.json && tar --overwrite -xf "$OUT/a.tar"'),
    Command("unzip -o", needs="unzip", source="the archive", sends=REPLACED, reasons=UNLINKS,
            script='(cd "$OUT/edited" && zip -q "$OUT/a.zip" 42.json) && unzip -oq "$OUT/a.zip"'),
    Command("cpio -u", needs="cpio", source="the archive", sends=REPLACED, reasons=UNLINKS,
            script="""(cd "$OUT/edited" && echo 42.json | cpio -o --quiet >"$OUT/a.cpio") &&
                cpio -iu --quiet <"$OUT/a.cpio" """),
    Command("git checkout over the table", needs="git", source="the repository", sends=REPLACED, reasons=GIT_UNLINKS,
            script="""export GIT_DIR="$OUT/git" GIT_WORK_TREE=.
                git init -q && git --work-tree="$OUT/tree" add -A && git commit -qm edited && git checkout -qf -- ."""),
    Command("git checkout in the table", needs="git", source="the repository", sends=REPLACED, reasons=GIT_UNLINKS,
            leaves=(".git",), script="""git init -q && git add -A && git commit -qm first &&
                git update-index --cacheinfo "100644,$(git hash-object -w "$EDITED"),42.json" &&
                git commit -qm second && git checkout -qf -- ."""),
    # Shells
    Command("bash, echo >", script=PATCH + 'echo "{\\"$COLUMN\\": $VALUE}" >"$ROW"', reasons={"silent": SHELL}),
    Command("dash, echo >", script=PATCH + 'echo "{\\"$COLUMN\\": $VALUE}" >"$ROW"', shell="dash",
            reasons={"silent": SHELL}),
    Command("bash, cat >", script='cat "$EDITED" >"$ROW"', source="the source"),
    Command("bash, printf >> a new row", key=44, sends=("INSERT",), without=("conflict", "beside"),
            script=ONE_NEW_ROW + 'printf "%s\\n" "$(cat "$OUT/wrote")" >>"$ROW"', reasons={"silent": SHELL}),
    Command("bash, printf >> a row",
            script="""{ cat "$ROW"; echo "$NEW"; } >"$OUT/wrote"; printf '%s\\n' "$NEW" >>"$ROW" """,
            without=("good", "constraint", "conflict", "beside", "grant", "killed", "stopped"),
            reasons={"silent": SHELL}),
)
PROGRAMS = EDITORS + COMMANDS
