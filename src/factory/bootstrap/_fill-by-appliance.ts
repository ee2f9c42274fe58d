import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { Failure } from '../../base/failure.ts'
import { findProgram, runProcess, runTool } from '../../base/process.ts'
import { plainEnvironment } from '../../remotes/plain-environment.ts'
import type { RootFileSystem } from './root-file-system.ts'

/**
 * Makes a file system in `file` and fills it with the tree, in a small virtual machine (libguestfs):
 * for file systems that only a kernel can write. Takes a minute where that is emulated.
 * Fails with TOOL_MISSING, COMMAND_FAILED.
 */
export async function fillByAppliance(
  type: string,
  file: string,
  root: RootFileSystem,
  context: Context,
): Promise<void> {
  if (findProgram('guestfish') === undefined)
    throw new Failure(
      'TOOL_MISSING',
      `a root file system of ${type} needs the program 'guestfish'`,
      {
        fix: 'Install guestfish (Debian: apt-get install guestfish), or use ext4.',
      },
    )
  const archive = join(root.scratch, 'root.tar')
  const kept = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--acls', '--sort=name']
  await runTool(
    [...root.launcher, 'tar', '--create', `--file=${archive}`, ...kept, '-C', root.tree, '.'],
    {
      signal: context.signal,
    },
  )
  const device = '/dev/sda'
  const commands = [
    ['run'],
    ['mkfs', type, device],
    ['set-uuid', device, root.identity.rootUuid],
    ['mount', device, '/'],
    ['tar-in', archive, '/', 'xattrs:true', 'acls:true'],
    ['umount-all'],
  ]
  const words = commands.flatMap((command, index) => (index === 0 ? command : [':', ...command]))
  const result = await runProcess(['guestfish', '--rw', '--format=raw', '-a', file, ...words], {
    env: {
      ...plainEnvironment,
      LIBGUESTFS_BACKEND: 'direct',
      LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
    },
    signal: context.signal,
  })
  if (result.code !== 0) throw toFailure(type, result.stderr.toString().trim())
  await rm(archive)
}

function toFailure(type: string, output: string): Failure {
  if (output.includes(`failed to execute mkfs.${type}`))
    return new Failure('TOOL_MISSING', `the appliance of libguestfs has no mkfs.${type}`, {
      fix: `Install libguestfs-${type} (Debian: apt-get install libguestfs-${type}), or use ext4.`,
    })
  const last = output.split('\n').at(-1) ?? ''
  return new Failure('COMMAND_FAILED', `guestfish: ${last}`, { details: { output } })
}
