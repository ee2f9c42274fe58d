/** The plain way: what a driver that can only run commands leaves to the gate. */
import { posix } from 'node:path'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import type { Command, CommandResult, FileAttributes, FileStat } from './remote.ts'

type Run = (command: Command) => Promise<CommandResult>

const TYPES: Readonly<Record<string, FileStat['type']>> = { f: 'file', d: 'directory', l: 'link' }

async function runOk(run: Run, command: Command): Promise<string> {
  const result = await run(command)
  if (result.code !== 0)
    throw new Failure(
      'COMMAND_FAILED',
      `${command.argv[0]} ended with ${result.code}: ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      {
        details: { argv: command.argv, code: result.code },
      },
    )
  return result.stdout
}

/** As much of a file as one command brings: base64 of it stays under what is kept of its output. */
const PIECE = 3 * MiB

/** Base64 keeps bytes whole on a channel that carries text. */
export async function readFileByCommand(
  run: Run,
  path: string,
  limit: number,
): Promise<Uint8Array | undefined> {
  const script = '[ -f "$1" ] || exit 44; tail -c "+$2" -- "$1" | head -c "$3" | base64'
  const pieces: Uint8Array[] = []
  for (let size = 0; size <= limit;) {
    const length = Math.min(PIECE, limit + 1 - size)
    const result = await run({
      argv: ['sh', '-c', script, 'sh', path, String(size + 1), String(length)],
    })
    if (result.code === 44) return undefined
    if (result.code !== 0)
      throw new Failure('REMOTE_CANNOT', `cannot read ${path}: ${result.stderr.trim()}`)
    const piece = Buffer.from(result.stdout, 'base64')
    pieces.push(piece)
    size += piece.length
    if (piece.length < length) break
  }
  return Buffer.concat(pieces)
}

export async function statByCommand(run: Run, path: string): Promise<FileStat | undefined> {
  const script =
    '[ -e "$1" ] || [ -L "$1" ] || exit 44; stat -c "%f %a %u %g %s %Y" -- "$1"; readlink -- "$1" || :'
  const result = await run({ argv: ['sh', '-c', script, 'sh', path] })
  if (result.code === 44) return undefined
  const [first = '', ...rest] = result.stdout.split('\n')
  const [hex, mode, uid, gid, size, mtime] = first.split(' ')
  if (result.code !== 0 || hex === undefined || mtime === undefined)
    throw new Failure('REMOTE_CANNOT', `cannot stat ${path}: ${result.stderr.trim()}`)
  const kind = Number.parseInt(hex, 16) & 0o170000
  const type =
    TYPES[kind === 0o100000 ? 'f' : kind === 0o040000 ? 'd' : kind === 0o120000 ? 'l' : ''] ??
    'other'
  const stat: FileStat = {
    type,
    mode: Number.parseInt(mode ?? '0', 8),
    uid: Number(uid),
    gid: Number(gid),
    size: Number(size),
    mtime: Number(mtime),
  }
  if (type === 'link') stat.target = rest.join('\n').replace(/\n$/, '')
  return stat
}

export async function listByCommand(run: Run, path: string): Promise<string[] | undefined> {
  const script =
    '[ -d "$1" ] || exit 44; cd -- "$1" && find . -mindepth 1 -maxdepth 1 -print0 | base64'
  const result = await run({ argv: ['sh', '-c', script, 'sh', path] })
  if (result.code === 44) return undefined
  if (result.code !== 0)
    throw new Failure('REMOTE_CANNOT', `cannot list ${path}: ${result.stderr.trim()}`)
  const names = Buffer.from(result.stdout, 'base64').toString().split('\0')
  return names
    .filter((name) => name !== '')
    .map((name) => name.slice(2))
    .sort()
}

export async function writeFileByCommand(
  run: Run,
  path: string,
  content: Uint8Array,
  attributes: Required<FileAttributes>,
): Promise<void> {
  const script =
    't=$(mktemp "$5/.ingot.XXXXXXXX") && { base64 -d > "$t" && chown "$3:$4" "$t" && chmod "$2" "$t" && mv -f -T -- "$t" "$1" || { rm -f -- "$t"; exit 1; }; }'
  const { mode, uid, gid } = attributes
  await runOk(run, {
    argv: [
      'sh',
      '-c',
      script,
      'sh',
      path,
      mode.toString(8),
      String(uid),
      String(gid),
      posix.dirname(path),
    ],
    input: Buffer.from(content).toString('base64'),
  })
}

export async function makeDirectoryByCommand(run: Run, path: string): Promise<void> {
  await runOk(run, { argv: ['sh', '-c', 'umask 022; mkdir -p -- "$1"', 'sh', path] })
}

export async function setAttributesByCommand(
  run: Run,
  path: string,
  attributes: FileAttributes,
): Promise<void> {
  const { mode, uid = '', gid } = attributes
  const owner = gid === undefined ? String(uid) : `${uid}:${gid}`
  const script =
    '{ [ -z "$2" ] || chown -h -- "$2" "$1"; } && { [ -z "$3" ] || chmod -- "$3" "$1"; }'
  await runOk(run, { argv: ['sh', '-c', script, 'sh', path, owner, mode?.toString(8) ?? ''] })
}

export async function makeLinkByCommand(run: Run, path: string, target: string): Promise<void> {
  await runOk(run, { argv: ['ln', '-s', '-f', '-n', '-T', '--', target, path] })
}

export async function removeByCommand(run: Run, path: string): Promise<void> {
  await runOk(run, { argv: ['rm', '-r', '-f', '--', path] })
}
