/**
 * The process behind a sandbox. It lives in mount and process namespaces of its own, so that when
 * it ends, however it ends, the kernel takes everything away: mounts, loop devices (they clear
 * themselves) and every process that was started in the guest.
 *
 * Commands run under bubblewrap: the guest's root, a private /dev without host devices, its own
 * process, IPC and host name spaces, few capabilities, and the end of every process with the command.
 */
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Failure } from '../base/failure.ts'
import { exitOf, runProcess, runTool, startProcess, stopProcess } from '../base/process.ts'
import { archiveImage } from './_archive-image.ts'
import { serveParent, tellParent } from './_child-calls.ts'
import { type Mount, mountImage } from './_mount-image.ts'
import { makeNoSyncFilter } from './no-sync.ts'
import { openGuestFiles, resolveInGuest } from './_guest-files.ts'
import { plainEnvironment } from './plain-environment.ts'
import type { Command, CommandResult } from './remote.ts'

export interface Attachment {
  /** A directory that is the guest's root already, or an image file with what to mount of it. */
  source: { directory: string } | { image: string; mounts: readonly Mount[] }
  /** Writes go to memory and are forgotten. */
  readOnly: boolean
  network: boolean
  /** A directory of this host where mount points may be made. */
  scratch: string
}

export type TreeCalls = typeof calls

/** What makes installers leave services alone. Source: invoke-rc.d(8), policy-rc.d: 101 is "action forbidden". */
const POLICY = '/usr/sbin/policy-rc.d'
const POLICY_TEXT = '#!/bin/sh\n# Services are not started in an image.\nexit 101\n'

/** What package scripts need of root's powers, and no more. */
const CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'KILL',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'SYS_CHROOT',
  'AUDIT_WRITE',
  'NET_BIND_SERVICE',
  'IPC_LOCK',
]

/** The guest's shell answers 127 and 126 for what cannot be run, where bwrap would say 1. */
const EXEC = ['/bin/sh', '-c', 'exec "$@"', 'sh']

const EXPORT_TIMEOUT_MS = 30_000

let root = ''
let attachment: Attachment
let files: ReturnType<typeof openGuestFiles>
/** Syncing is left to `finish`: until then the work is thrown away if anything happens. */
let noSync: string | undefined
/** Words for bwrap that let commands know the name servers of this host. */
let resolver: string[] = []
let undo: (() => void)[] = []
let mounted: string[] = []
let exporter: ChildProcess | undefined
const running = new Map<string, AbortController>()

const calls = {
  /**
   * Shows the guest disk of a qcow2 image as a raw file; its path. What is written to that file goes
   * into the image.
   */
  exportQcow2: async (image: string, scratch: string, readOnly: boolean): Promise<string> => {
    const at = join(scratch, 'disk')
    writeFileSync(at, '')
    const file = { driver: 'file', filename: image, discard: 'unmap', 'read-only': readOnly }
    const disk = {
      driver: 'qcow2',
      'node-name': 'disk',
      discard: 'unmap',
      'read-only': readOnly,
      file,
    }
    const target = `type=fuse,id=disk,node-name=disk,mountpoint=${at.replaceAll(',', ',,')},writable=${readOnly ? 'off' : 'on'}`
    exporter = startProcess([
      'qemu-storage-daemon',
      '--blockdev',
      JSON.stringify(disk),
      '--export',
      target,
    ])
    const messages: Buffer[] = []
    exporter.stderr?.on('data', (text: Buffer) => messages.push(text))
    const ended = exitOf(exporter, 'qemu-storage-daemon')
    const deadline = Date.now() + EXPORT_TIMEOUT_MS
    while (statSync(at).size === 0) {
      const code = await Promise.race([ended, delay(5)])
      if (code !== undefined || Date.now() > deadline)
        throw new Failure(
          'IMAGE_UNREADABLE',
          `the disk of the image cannot be shown as a file: ${Buffer.concat(messages).toString().trim() || 'no answer'}`,
        )
    }
    return at
  },

  /** Files of one file system of an image, for finding the root: read, never written. */
  peek: async (
    image: string,
    mount: Mount,
    paths: readonly string[],
    scratch: string,
  ): Promise<(string | undefined)[]> => {
    const at = join(scratch, `peek-${randomUUID()}`)
    mkdirSync(at)
    await mountImage(image, mount, at, true)
    try {
      const peeked = openGuestFiles(at)
      return await Promise.all(
        paths.map(async (path) => textOf(await peeked.readFile(path, 1 << 20))),
      )
    } finally {
      await runTool(['umount', at])
    }
  },

  attach: async (given: Attachment): Promise<void> => {
    attachment = given
    if ('directory' in given.source) {
      root = given.source.directory
      if (given.readOnly) root = await overlay(root, given.scratch)
    } else {
      root = join(given.scratch, 'root')
      mkdirSync(root)
      for (const mount of given.source.mounts) await attachMount(given, given.source.image, mount)
    }
    files = openGuestFiles(root)
    const filter = makeNoSyncFilter(process.arch)
    if (filter) {
      noSync = join(given.scratch, 'no-sync.bpf')
      writeFileSync(noSync, filter)
    }
    await prepare()
  },

  run: async (id: string, command: Command): Promise<CommandResult> => {
    const controller = new AbortController()
    running.set(id, controller)
    try {
      const result = await runProcess([...sandboxed(), ...EXEC, ...command.argv], {
        env: { ...plainEnvironment, ...command.env },
        input: command.input ?? '',
        timeoutMs: command.timeoutMs,
        signal: controller.signal,
        onOutput: (text) => tellParent('output', { id, text }),
      })
      return {
        code: result.code,
        stdout: result.stdout.toString(),
        stderr: result.stderr.toString(),
      }
    } catch (error) {
      if (error instanceof Failure && error.code === 'COMMAND_TIMEOUT')
        throw new Failure(
          'COMMAND_TIMEOUT',
          error.message.replace(/^bwrap/, command.argv[0] ?? ''),
          { details: error.details },
        )
      throw error
    } finally {
      running.delete(id)
    }
  },

  readFile: (path: string, limit: number) => files.readFile(path, limit),
  stat: (path: string) => files.stat(path),
  list: (path: string) => files.list(path),
  writeFile: (
    path: string,
    content: Uint8Array,
    attributes: { mode: number; uid: number; gid: number },
  ) => files.writeFile(path, content, attributes),
  makeDirectory: (path: string) => files.makeDirectory(path),
  setAttributes: (path: string, attributes: { mode?: number; uid?: number; gid?: number }) =>
    files.setAttributes(path, attributes),
  makeLink: (path: string, target: string) => files.makeLink(path, target),
  remove: (path: string) => files.remove(path),

  archive: async (file: string): Promise<void> => {
    const { source, readOnly, scratch } = attachment
    if (!readOnly || !('image' in source))
      throw new Failure('REMOTE_CANNOT', 'only an image that is not being changed is archived')
    await archiveImage(source, scratch, file)
  },

  /** Takes our traces away, gives unused blocks back and unmounts; errors of the disk show here. */
  finish: async (): Promise<void> => {
    for (const step of undo.toReversed()) step()
    undo = []
    if (!attachment.readOnly && 'image' in attachment.source)
      for (const at of mounted.filter((one) => one.startsWith(root)))
        await runProcess(['fstrim', at]).catch(() => undefined)
    for (const at of mounted.toReversed()) {
      await runTool(['sync', '-f', at]) // a disk that is full or broken says so here
      await runTool(['umount', at])
    }
    mounted = []
    if (exporter) await stopProcess(exporter, EXPORT_TIMEOUT_MS)
  },
}

async function attachMount(given: Attachment, image: string, mount: Mount): Promise<void> {
  const at = resolveInGuest(root, mount.at)
  mkdirSync(at, { recursive: true }) // as systemd does when it mounts
  if (!given.readOnly) {
    await mountImage(image, mount, at, false)
    mounted.push(at)
    return
  }
  const lower = join(given.scratch, `lower-${randomUUID()}`)
  mkdirSync(lower)
  await mountImage(image, mount, lower, true)
  mounted.push(lower)
  await overlay(lower, given.scratch, at)
}

/** Lays memory over `lower`; the place of the result. */
async function overlay(
  lower: string,
  scratch: string,
  at = join(scratch, `overlay-${randomUUID()}`),
): Promise<string> {
  const memory = join(scratch, `memory-${randomUUID()}`)
  mkdirSync(memory)
  if (!existsSync(at)) mkdirSync(at)
  await runTool(['mount', '-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', memory])
  mkdirSync(join(memory, 'upper'))
  mkdirSync(join(memory, 'work'))
  await runTool([
    'mount',
    '-t',
    'overlay',
    '-o',
    `lowerdir=${lower},upperdir=${join(memory, 'upper')},workdir=${join(memory, 'work')}`,
    'overlay',
    at,
  ])
  mounted.push(memory, at)
  return at
}

/** Memory for /run, no services, a resolver: all taken back by `finish`. */
async function prepare(): Promise<void> {
  const run = resolveInGuest(root, '/run')
  if (!existsSync(run)) mkdirSync(run)
  await runTool(['mount', '-t', 'tmpfs', '-o', 'mode=0755,nosuid,nodev', 'tmpfs', run])
  mounted.push(run)
  mkdirSync(join(run, 'lock'), { mode: 0o1777 })
  const policy = resolveInGuest(root, POLICY)
  if (!existsSync(policy) && existsSync(resolveInGuest(root, '/usr/sbin'))) {
    writeFileSync(policy, POLICY_TEXT, { mode: 0o755 })
    undo.push(() => rmSync(policy, { force: true }))
  }
  if (attachment.network) prepareResolver()
}

function prepareResolver(): void {
  if (!existsSync('/etc/resolv.conf') || !existsSync(resolveInGuest(root, '/etc'))) return
  const guest = resolveInGuest(root, '/etc/resolv.conf')
  if (guest.startsWith(join(resolveInGuest(root, '/run'), '/'))) {
    mkdirSync(join(guest, '..'), { recursive: true })
    writeFileSync(guest, readFileSync('/etc/resolv.conf')) // in memory
    return
  }
  if (!existsSync(guest)) {
    writeFileSync(guest, '')
    undo.push(() => {
      if (existsSync(guest) && statSync(guest).size === 0) rmSync(guest)
    })
  }
  // Only commands see it, and only a copy, so that whoever writes there writes nothing of this host.
  const copy = join(attachment.scratch, 'resolv.conf')
  writeFileSync(copy, readFileSync('/etc/resolv.conf'))
  resolver = ['--bind', copy, join('/', relative(root, guest))]
}

/** The words in front of a command of the guest. The environment travels as environment, never here. */
function sandboxed(): string[] {
  const network = attachment.network ? [] : ['--unshare-net']
  // A shell of this host, only to open the filter as a descriptor; 3 may be our own channel.
  const opener = noSync === undefined ? [] : ['sh', '-c', 'exec 9<"$0" "$@"', noSync]
  return [
    ...opener,
    'bwrap', '--bind', root, '/', ...resolver, '--dev', '/dev', '--proc', '/proc', '--tmpfs', '/dev/shm',
    '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try', ...network,
    ...(noSync === undefined ? [] : ['--seccomp', '9']), '--die-with-parent', '--new-session', '--chdir', '/',
    '--cap-drop', 'ALL', ...CAPABILITIES.flatMap((name) => ['--cap-add', `CAP_${name}`]),
    '--',
  ] // prettier-ignore
}

function textOf(content: Uint8Array | undefined): string | undefined {
  return content === undefined ? undefined : Buffer.from(content).toString()
}

serveParent(calls, () => {
  for (const controller of running.values()) controller.abort()
})
