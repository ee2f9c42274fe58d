/**
 * A remote that follows a script: commands are answered as the test says, files live in memory,
 * and every call is kept in order. For tests of whatever works on remotes; plugin authors' too.
 */
import { Failure } from '../base/failure.ts'
import type { Command, CommandResult, FileAttributes, RemoteDriver } from '../remotes/remote.ts'
import { MemoryTree } from './memory-tree.ts'

/** One answer of the script. */
export interface Answer {
  /**
   * Which commands it answers: a program's name with any arguments, a whole argument vector, a
   * pattern for the words joined by spaces, or a function.
   */
  to: string | readonly string[] | RegExp | ((command: Command) => boolean)
  /** What the command gives; code 0 and no output where left out. A function may change files. */
  give?:
    | Partial<CommandResult>
    | Failure
    | ((command: Command, files: MemoryTree) => Partial<CommandResult> | void)
  /** How often it answers before the next answer that fits is taken; without end when left out. */
  times?: number
}

export interface RemoteScript {
  name?: string
  place?: 'image' | 'host'
  /** Contents by path. Added to a guest that is Debian 12 unless its os-release is given here. */
  files?: Readonly<Record<string, string | Uint8Array>>
  /** The first that fits answers. Without any, the remote cannot run commands at all. */
  answers?: readonly Answer[]
  /** What is answered to commands that nothing fits; a Failure REMOTE_LOST when left out. */
  otherwise?: Partial<CommandResult>
}

/** Something the driver was asked to do. */
export type Call =
  | { kind: 'run'; command: Command }
  | { kind: 'read' | 'stat' | 'list' | 'directory' | 'remove'; path: string }
  | { kind: 'write'; path: string; content: Uint8Array; attributes: Required<FileAttributes> }
  | { kind: 'attributes'; path: string; attributes: FileAttributes }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'finish' | 'close' }

export interface ScriptedRemote {
  /** For `openRemote`. */
  readonly driver: RemoteDriver
  readonly files: MemoryTree
  /** Everything that was asked, in order. */
  readonly calls: readonly Call[]
  /** The commands among the calls, their words joined by spaces. */
  readonly commands: () => string[]
  /** The calls that change the guest's files. */
  readonly changes: () => Call[]
}

const DEBIAN = 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian 12"\n'
/** As much of an ELF file as tells that it is for x86_64. */
const ELF_X86_64 = Uint8Array.of(
  0x7f,
  0x45,
  0x4c,
  0x46,
  2,
  1,
  1,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  3,
  0,
  62,
  0,
)
const FILES = { '/etc/os-release': DEBIAN, '/bin/sh': ELF_X86_64 }
const DIRECTORIES = ['/dev', '/etc', '/root', '/tmp', '/usr/bin', '/var/lib']
const CHANGES: readonly Call['kind'][] = ['write', 'attributes', 'link', 'directory', 'remove']

export function makeScriptedRemote(script: RemoteScript = {}): ScriptedRemote {
  const calls: Call[] = []
  const files = new MemoryTree()
  for (const directory of DIRECTORIES) files.makeDirectory(directory)
  for (const [path, content] of Object.entries({ ...FILES, ...script.files })) {
    files.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    files.write(path, Buffer.from(content as string), { mode: 0o644, uid: 0, gid: 0 })
  }
  const run = answerBy(script, files)
  return {
    files,
    calls,
    commands: () => calls.flatMap((call) => (call.kind === 'run' ? [textOf(call.command)] : [])),
    changes: () => calls.filter((call) => CHANGES.includes(call.kind)),
    driver: {
      name: script.name ?? 'scripted',
      place: script.place ?? 'image',
      via: 'scripted',
      ...(run && {
        run: async (command: Command) => {
          calls.push({ kind: 'run', command })
          return run(command)
        },
      }),
      readFile: async (path) => {
        calls.push({ kind: 'read', path })
        return files.read(path)
      },
      stat: async (path) => {
        calls.push({ kind: 'stat', path })
        return files.stat(path)
      },
      list: async (path) => {
        calls.push({ kind: 'list', path })
        return files.list(path)
      },
      writeFile: async (path, content, attributes) => {
        calls.push({ kind: 'write', path, content, attributes })
        files.write(path, content, attributes)
      },
      makeDirectory: async (path) => {
        calls.push({ kind: 'directory', path })
        files.makeDirectory(path)
      },
      setAttributes: async (path, attributes) => {
        calls.push({ kind: 'attributes', path, attributes })
        files.setAttributes(path, attributes)
      },
      makeLink: async (path, target) => {
        calls.push({ kind: 'link', path, target })
        files.link(path, target)
      },
      remove: async (path) => {
        calls.push({ kind: 'remove', path })
        files.remove(path)
      },
      finish: async () => void calls.push({ kind: 'finish' }),
      [Symbol.asyncDispose]: async () => void calls.push({ kind: 'close' }),
    },
  }
}

function answerBy(
  script: RemoteScript,
  files: MemoryTree,
): ((command: Command) => CommandResult) | undefined {
  if (!script.answers && !script.otherwise) return undefined
  const uname: Answer = { to: ['uname', '-m'], give: { stdout: 'x86_64\n' } }
  const left = [...(script.answers ?? []), uname].map((answer) => ({
    ...answer,
    times: answer.times ?? Infinity,
  }))
  return (command) => {
    const answer = left.find(({ to, times }) => times > 0 && fits(to, command))
    if (!answer && !script.otherwise)
      throw new Error(`the script has no answer: ${textOf(command)}`)
    if (answer) answer.times--
    const given = answer ? answer.give : script.otherwise
    if (given instanceof Failure) throw given
    const result = { code: 0, stdout: '', stderr: '' }
    Object.assign(result, typeof given === 'function' ? given(command, files) : given)
    if (result.stdout + result.stderr !== '') command.onOutput?.(result.stdout + result.stderr)
    return result
  }
}

function fits(to: Answer['to'], command: Command): boolean {
  if (typeof to === 'function') return to(command)
  if (typeof to === 'string') return command.argv[0] === to
  if (to instanceof RegExp) return to.test(textOf(command))
  return to.length === command.argv.length && to.every((word, i) => word === command.argv[i])
}

function textOf(command: Command): string {
  return command.argv.join(' ')
}
