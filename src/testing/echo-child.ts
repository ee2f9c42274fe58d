/** A child process for the tests of calls between processes. */
import { Failure, type FailureCode } from '../base/failure.ts'
import { FAILURES } from '../base/failures.ts'
import { startProcess } from '../base/process.ts'
import { serveParent, tellParent } from '../remotes/_child-calls.ts'

const calls = {
  echo: (value: unknown): unknown => value,
  fail: (code: string): never => {
    if (!Object.hasOwn(FAILURES, code)) throw new TypeError(code)
    throw new Failure(code as FailureCode, 'as you wished', {
      details: { asked: code },
      fix: 'try again',
    })
  },
  tell: (what: string): void => tellParent('said', what),
  print: (line: string): Promise<void> =>
    new Promise((resolve) => process.stderr.write(`${line}\n`, () => resolve())),
  never: (): Promise<never> => new Promise(() => {}),
  /** Starts a process that stays; its id. */
  spawn: (): number => {
    const child = startProcess(['sleep', '600'], { stdio: 'ignore' })
    process.once('exit', () => child.kill('SIGKILL'))
    return child.pid ?? 0
  },
}

export type EchoCalls = typeof calls

serveParent<EchoCalls>(calls)
