/**
 * Locks between processes of one host, kept by the kernel: whoever dies has let go. Node has no flock(2), so a small
 * child of util-linux holds the lock for as long as its standard input is open.
 */
import type { ChildProcess } from 'node:child_process'
import { Failure } from './failure.ts'
import { exitOf, startProcess, stopProcess } from './process.ts'

/**
 * Does some work while nobody else holds the lock of `path`, a file that is made if it is not there. Waits for whoever
 * holds it. Fails as the work, and with INTERRUPTED (while it waits), TOOL_MISSING, FILE_UNREADABLE.
 */
export async function withFileLock<Value>(
  path: string,
  signal: AbortSignal,
  work: () => Promise<Value>,
): Promise<Value> {
  const holder = await startHolder(path, signal)
  try {
    return await work()
  } finally {
    await stopProcess(holder)
  }
}

/** A process that holds the lock. */
async function startHolder(path: string, signal: AbortSignal): Promise<ChildProcess> {
  if (signal.aborted) throw new Failure('INTERRUPTED', `the lock ${path} was not waited for`)
  const holder = ['sh', '-c', 'echo held; exec cat >/dev/null']
  const child = startProcess(['flock', '--exclusive', '--no-fork', path, ...holder], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  child.stdin?.on('error', () => {}) // it has ended: `exitOf` says so
  const abort = () => void stopProcess(child)
  signal.addEventListener('abort', abort, { once: true })
  try {
    const held = new Promise<'held'>((resolve) => child.stdout?.once('data', () => resolve('held')))
    const outcome = await Promise.race([held, exitOf(child, 'flock')])
    if (outcome !== 'held')
      throw signal.aborted
        ? new Failure('INTERRUPTED', `waiting for the lock ${path} was interrupted`)
        : new Failure('FILE_UNREADABLE', `${path} cannot be locked`)
  } finally {
    signal.removeEventListener('abort', abort)
  }
  return child
}
