/**
 * Programs that believe they wrote to the disk. What is made in a scratch directory is thrown away
 * when the machine fails, so the thousands of syncs by which dpkg guards a real system only cost
 * time there. A seccomp filter answers them with success; the programs notice nothing.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Numbers of fsync, fdatasync, sync, syncfs, sync_file_range, msync. Source: the kernel's unistd tables. */
const PLATFORMS: Readonly<Record<string, { audit: number; calls: readonly number[] }>> = {
  x64: { audit: 0xc000003e, calls: [74, 75, 162, 306, 277, 26] },
  arm64: { audit: 0xc00000b7, calls: [82, 83, 81, 267, 84, 227] },
}

// Source: linux/bpf_common.h, linux/filter.h, linux/seccomp.h.
const LOAD_WORD = 0x20
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const ALLOW = 0x7fff0000
/** With errno 0: the call is not made and succeeds. */
const ANSWER_ERRNO = 0x00050000
const CALL_OFFSET = 0
const PLATFORM_OFFSET = 4

/**
 * The filter for a platform as Node names it, undefined for others: instructions of classic BPF,
 * each: operation (2 bytes), jump if true (1), jump if false (1), operand (4), little-endian.
 */
export function makeNoSyncFilter(platform: string): Uint8Array | undefined {
  const known = PLATFORMS[platform]
  if (!known) return undefined
  const { audit, calls } = known
  const program = [
    [LOAD_WORD, 0, 0, PLATFORM_OFFSET],
    [JUMP_IF_EQUAL, 0, calls.length + 1, audit],
    [LOAD_WORD, 0, 0, CALL_OFFSET],
    ...calls.map((call, index) => [JUMP_IF_EQUAL, calls.length - index, 0, call]),
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, ANSWER_ERRNO],
  ] as const
  const bytes = Buffer.alloc(program.length * 8)
  for (const [index, [operation, ifTrue, ifFalse, operand]] of program.entries()) {
    bytes.writeUInt16LE(operation ?? 0, index * 8)
    bytes.writeUInt8(ifTrue ?? 0, index * 8 + 2)
    bytes.writeUInt8(ifFalse ?? 0, index * 8 + 3)
    bytes.writeUInt32LE(operand ?? 0, index * 8 + 4)
  }
  return bytes
}

/**
 * Words that put a command, with all it starts, into a process namespace of its own in which syncing
 * is a word only; it ends with its parent. The filter is written into `scratch`. No device files can
 * be made there, so that what is made does not depend on who makes it. The caller is root, be it of
 * a user namespace.
 */
export async function makeNoSyncLauncher(scratch: string): Promise<readonly string[]> {
  const bwrap = [
    'bwrap', '--dev-bind', '/', '/', '--unshare-pid', '--proc', '/proc', '--die-with-parent',
    '--cap-drop', 'CAP_MKNOD',
  ] // prettier-ignore
  const filter = makeNoSyncFilter(process.arch)
  if (!filter) return [...bwrap, '--']
  const file = join(scratch, 'no-sync.bpf')
  await writeFile(file, filter)
  // A shell, only to open the filter as a descriptor; 3 may be taken by the caller's own channel.
  return ['sh', '-c', 'exec 9<"$0" "$@"', file, ...bwrap, '--seccomp', '9', '--']
}
