"""Runs OpenStack's own commands, `openstack` and `glance`, one for each line of standard input.

A line is {"client", "words", "env", "stdin"}; the answer is a line {"code", "stdout", "stderr"}, the streams in
base64. What both commands import takes seconds, so it is imported once, and each command runs in a fork of its
own: nothing of one is seen by the next. `stdin` is the path of a file; without one the command sits at a terminal.
"""
import base64
import json
import os
import pty
import sys
import tempfile


def load():
    """What every command needs, before the first fork."""
    import glanceclient.v2.shell  # noqa: F401
    import openstack.image.v2._proxy  # noqa: F401
    import openstackclient.image.client  # noqa: F401
    import openstackclient.image.v2.image  # noqa: F401
    from glanceclient import shell as glance
    from openstackclient import shell as openstack

    return {'glance': glance.main, 'openstack': lambda: sys.exit(openstack.main())}


def run(main, client, words, env, stdin, out, err):
    """The child: becomes the command."""
    os.environ.update(env)
    source = os.open(stdin, os.O_RDONLY) if stdin else pty.openpty()[1]
    for old, new in ((source, 0), (out.fileno(), 1), (err.fileno(), 2)):
        os.dup2(old, new)
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, 'w', closefd=False)
    sys.stderr = open(2, 'w', closefd=False)
    sys.argv = [client, *words]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
        code = code if isinstance(code, int) else int(code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 255)


def main():
    commands = load()
    print('ready', flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                client = asked['client']
                run(commands[client], client, asked['words'], asked['env'], asked['stdin'], out, err)
            _, status = os.waitpid(pid, 0)
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(base64.b64encode(stream.read()).decode())
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({'code': code, 'stdout': texts[0], 'stderr': texts[1]}), flush=True)


main()
