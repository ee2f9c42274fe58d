/** How urgent the work of a thread is beside that of others. */
import { readlinkSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'
import { systemCode } from './failure.ts'

/**
 * Has the calling thread give way to everything else that wants the processor: what takes all of one for
 * long must not keep waiting who answers requests. Elsewhere than on Linux, and where it may not be, all
 * stays as it is.
 * Source: setpriority(2), which on Linux takes the ids of threads, where POSIX speaks of processes.
 */
export function giveWay(): void {
  try {
    const [, thread] = /\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self')) ?? []
    if (thread === undefined) return
    const { PRIORITY_BELOW_NORMAL } = constants.priority
    // never more urgent than it was: the whole process may have been told to give way further
    setPriority(Number(thread), Math.max(getPriority(Number(thread)), PRIORITY_BELOW_NORMAL))
  } catch (error) {
    if (systemCode(error) === undefined) throw error
  }
}
