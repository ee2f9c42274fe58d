/** govmomi's simulator of vCenter, as a process of a test. `scripts/vcsim` builds it. */
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { exitOf, findProgram, runTool, startProcess, stopProcess } from '../base/process.ts'

export interface Vcsim extends AsyncDisposable {
  /** `https://127.0.0.1:PORT`; its certificate is nobody's. */
  readonly url: string
  /** What it has logged, such as `transferred 1234 bytes`. */
  readonly log: readonly string[]
}

/** Why it cannot be had here; undefined: it can. */
export function whyNoVcsim(): string | undefined {
  return findProgram('go') === undefined
    ? 'needs golang-go and golang-github-vmware-govmomi-dev'
    : undefined
}

export async function openVcsim(): Promise<Vcsim> {
  const script = join(import.meta.dirname, '../../scripts/vcsim')
  const program = (await runTool([script], { timeoutMs: 300_000 })).toString().trim()
  const child = startProcess([program], { stdio: ['pipe', 'pipe', 'pipe'] })
  const log: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line))
  for await (const line of createInterface({ input: child.stdout! })) {
    const { origin } = new URL(line)
    child.stdout?.resume()
    return { url: origin, log, [Symbol.asyncDispose]: () => stopProcess(child) }
  }
  throw new Error(`vcsim ended with ${await exitOf(child, program)}: ${log.join('\n')}`)
}
