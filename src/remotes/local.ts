/** This host, as root: what `--local` works on. */
import { hostname } from 'node:os'
import type { Context } from '../base/context.ts'
import { runProcess } from '../base/process.ts'
import { plainEnvironment } from './plain-environment.ts'
import type { RemoteDriver } from './remote.ts'

/** The operator's own umask and working directory must not show in what a recipe does. */
const LAUNCH = ['sh', '-c', 'umask 022; exec "$@"', 'sh']

export function openLocal(context: Context): RemoteDriver {
  return {
    name: hostname(),
    place: 'host',
    via: 'local',
    run: async (command) => {
      const result = await runProcess([...LAUNCH, ...command.argv], {
        cwd: '/',
        env: { ...plainEnvironment, ...command.env },
        input: command.input,
        timeoutMs: command.timeoutMs,
        signal: context.signal,
        onOutput: command.onOutput,
      })
      return {
        code: result.code,
        stdout: result.stdout.toString(),
        stderr: result.stderr.toString(),
      }
    },
    [Symbol.asyncDispose]: async () => {},
  }
}
