import { readFile } from 'node:fs/promises'
import { Failure } from '../base/failure.ts'
import { NIC_ID, TARGET_NODE } from './_qemu-arguments.ts'
import type { Activity } from './machine.ts'
import type { Qmp } from './qmp.ts'

/** `query-blockstats`, as far as it matters. */
interface BlockStatistics {
  'node-name'?: string
  stats?: { wr_bytes?: number; rd_bytes?: number; unmap_bytes?: number }
}

/** Clock ticks of /proc in a second: the same on every Linux that runs Node. Source: proc(5), USER_HZ. */
const TICKS = 100

/** Asks QEMU and the kernel what the machine has done. Fails with MACHINE_FAILED. */
export async function readActivity(qmp: Qmp, pid: number): Promise<Activity> {
  const blocks = await qmp.execute('query-blockstats')
  const target = (Array.isArray(blocks) ? (blocks as BlockStatistics[]) : []).find(
    (block) => block['node-name'] === TARGET_NODE,
  )
  return {
    written: target?.stats?.wr_bytes ?? 0,
    read: target?.stats?.rd_bytes ?? 0,
    packets: await countPackets(qmp),
    cpuMs: await readCpuTime(pid),
  }
}

/**
 * Buffers that the queues of a virtio card have used: one or more a packet, in 16 bits. QEMU's user network
 * counts nothing itself.
 */
async function countPackets(qmp: Qmp): Promise<number | undefined> {
  const path = `/machine/peripheral/${NIC_ID}/virtio-backend`
  try {
    let packets = 0
    for (const queue of [0, 1]) {
      const status = await qmp.execute('x-query-virtio-queue-status', { path, queue })
      packets += Number((status as { 'used-idx'?: unknown })['used-idx'] ?? 0)
    }
    return packets % 65_536
  } catch {
    return undefined // no such card, no queues yet, or a QEMU that does not tell
  }
}

/** Source: proc_pid_stat(5), fields 14 and 15; the second field may hold spaces and parentheses. */
async function readCpuTime(pid: number): Promise<number> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS
  } catch (error) {
    throw new Failure('MACHINE_FAILED', 'the machine has ended', { cause: error })
  }
}
