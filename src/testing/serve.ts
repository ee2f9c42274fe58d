/** `ingot serve` as a process of its own, for black boxes. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { killGroup, startProcess, stopProcess } from '../base/process.ts'

const MAIN = fileURLToPath(new URL('../cli/main.ts', import.meta.url))
/** Of its log, to show when something went wrong. */
const LOG_LINES = 2000

/** Closing it kills it, if it runs. */
export interface Served extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  readonly pid: number
  /** The last lines of its log. */
  readonly log: readonly string[]
  /** As `kill -9`. Resolves when it is gone. */
  kill(): Promise<void>
  /** Asks it to end; the exit code. */
  stop(): Promise<number | null>
}

/**
 * Starts a server with this configuration, which is written to `configFile`, on any free port. `enter` is a command that becomes
 * the one behind it, as `nice` does.
 */
export async function startServer(
  configFile: string,
  config: object,
  enter: readonly string[] = [],
): Promise<Served> {
  await writeFile(configFile, stringify({ listen: '127.0.0.1:0', ...config }))
  const serve = [process.execPath, MAIN, 'serve', '--json', '--config', configFile]
  const child = startProcess([...enter, ...serve])
  const { stdout, stderr } = child
  if (!stdout || !stderr) throw new Error('no pipes')
  const log: string[] = []
  createInterface(stderr).on('line', (line) => {
    log.push(line)
    if (log.length > LOG_LINES) log.shift()
  })
  const gone = once(child, 'close') // not before all that it said was read
  const url = await Promise.race([
    once(createInterface(stdout), 'line').then(([line]) => {
      const { url } = JSON.parse(String(line)) as { url: string }
      return url
    }),
    gone.then(([code]) => {
      throw new Error(`ingot serve ended with ${String(code)}:\n${log.join('\n')}`)
    }),
  ])
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) killGroup(child, 'SIGKILL')
    await gone
  }
  return {
    url,
    pid: child.pid ?? 0,
    log,
    kill,
    [Symbol.asyncDispose]: kill,
    stop: async () => {
      await stopProcess(child, 60_000)
      await gone
      return child.exitCode
    },
  }
}
