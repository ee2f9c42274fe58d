/** A command that serves until it is interrupted, and says in one line of JSON where. */
import { exitOf, startProcess, stopProcess } from '../base/process.ts'

export interface Service extends AsyncDisposable {
  readonly pid: number
  /** What it printed when it was ready. */
  readonly told: unknown
  /** Ctrl-C; its exit code. */
  interrupt(): Promise<number>
}

/** Starts it, and waits until it is ready. Throws, with what it said, when it ends before that. */
export async function openService(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Service> {
  const child = startProcess(argv, { env: { ...(process.env as Record<string, string>), ...env } })
  const ended = exitOf(child, argv[0] ?? '')
  let said = ''
  child.stderr?.on('data', (text: Buffer) => (said += text.toString()))
  let printed = ''
  const told = await new Promise((resolve, reject) => {
    child.stdout?.on('data', (text: Buffer) => {
      printed += text.toString()
      if (!printed.includes('\n')) return
      const told = JSON.parse(printed.slice(0, printed.indexOf('\n'))) as object
      if ('error' in told) reject(new Error(JSON.stringify(told)))
      else resolve(told)
    })
    ended.then((code) => reject(new Error(`it ended with ${code}: ${said}`)), reject)
  })
  return {
    pid: child.pid ?? 0,
    told,
    interrupt: async () => {
      child.kill('SIGINT')
      return await ended
    },
    [Symbol.asyncDispose]: async () => await stopProcess(child),
  }
}
