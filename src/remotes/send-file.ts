import { open } from 'node:fs/promises'
import { posix } from 'node:path'
import type { Context } from '../base/context.ts'
import { MiB } from '../base/units.ts'
import type { FileAttributes, Remote } from './remote.ts'

/** What is held in memory at a time. */
const PIECE = 16 * MiB

/**
 * Copies a file of this host to `target` in the guest, in pieces, so that its size does not matter.
 * It is there whole or not at all. Fails as writing and running do.
 */
export async function sendFile(
  remote: Remote,
  source: string,
  target: string,
  attributes: FileAttributes,
  context: Context,
): Promise<void> {
  await using file = await open(source)
  const { size } = await file.stat()
  const read = async (start: number) => {
    const piece = Buffer.alloc(Math.min(PIECE, size - start))
    const { bytesRead } = await file.read(piece, 0, piece.length, start)
    return piece.subarray(0, bytesRead)
  }
  const first = await read(0)
  if (size <= PIECE) return await remote.writeFile(target, first, attributes)
  const partial = posix.join(posix.dirname(target), `.ingot-${context.newId()}`)
  try {
    await remote.writeFile(partial, first, { mode: 0o600 })
    for (let start = first.length; start < size;) {
      const piece = await read(start)
      if (piece.length === 0) break
      await remote.runOk({ argv: ['sh', '-c', 'cat >> "$1"', 'sh', partial], input: piece })
      start += piece.length
      context.progress({ kind: 'bytes', name: target, done: start, total: size })
    }
    await remote.setAttributes(partial, { mode: 0o644, uid: 0, gid: 0, ...attributes })
    await remote.runOk({ argv: ['mv', '-f', '-T', '--', partial, target] })
  } catch (error) {
    await remote.remove(partial).catch(() => {})
    throw error
  }
}
