"""What POSIX and Linux say of files, directories and symbolic links, as named cases that run in any directory.

    posix_cases.py [--rowfs] DIRECTORY [CASE...]

On tmpfs all pass as they stand, which proves that what they expect is not rowfs's own idea. With --rowfs what
posix_check.py lists as DIFFERENCES must be refused, just so. Prints the cases that failed, and how many ran; exit
status 0 if none did.
"""

import os
import sys
import traceback

import posix_check
import posix_files
import posix_names

cases = posix_check.cases


def place_of(error):
    """Where in its case the error came from."""
    return next(f"line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
                if frame.filename in (posix_files.__file__, posix_names.__file__))


def clear(name):
    if not os.path.isdir(name) or os.path.islink(name):
        os.unlink(name)
        return
    os.chmod(name, 0o700)
    for entry in os.listdir(name):
        clear(os.path.join(name, entry))
    os.rmdir(name)


def run_case(name):
    """What went wrong, or None. Whatever it leaves is cleared away."""
    here = os.getcwd()
    before = set(os.listdir(b"."))
    trouble = None
    try:
        cases[name]()
    except Exception as e:
        trouble = f"{place_of(e)}: {type(e).__name__}: {e}"
    os.chdir(here)
    for left in set(os.listdir(b".")) - before:
        clear(left)
    return trouble


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["--rowfs"]:
        posix_check.on_rowfs = True
        del arguments[0]
    if not arguments or set(arguments[1:]) - set(cases):
        sys.exit(__doc__)
    os.chdir(arguments[0])
    os.umask(0o022)
    names = arguments[1:] or list(cases)
    failed = 0
    for name in names:
        trouble = run_case(name)
        if trouble:
            failed += 1
            print(f"FAILED {name}: {trouble}", flush=True)
    print(f"{len(names)} cases, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
