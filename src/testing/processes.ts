/** What tests ask about processes. */
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Whether the process runs; one that ended and only waits to be collected does not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

/** Returns once the process runs no more; fails after `timeoutMs`. */
export async function waitUntilGone(pid: number, timeoutMs = 60_000): Promise<void> {
  const end = Date.now() + timeoutMs
  while (isAlive(pid)) {
    if (Date.now() > end) throw new Error(`process ${pid} still runs after ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Waits until a process has printed `text` on its standard error, and goes on reading it. */
export async function untilItPrints(child: ChildProcess, text: string | RegExp): Promise<void> {
  let seen = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
      if (typeof text === 'string' ? seen.includes(text) : text.test(seen)) resolve()
    })
    child.once('exit', () => reject(new Error(`it ended before it printed '${text}': ${seen}`)))
  })
}
