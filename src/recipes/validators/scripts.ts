/**
 * `script` and `copy_script`.
 * Source: Sahara `plugins/images.py`, SaharaScriptValidator. Unlike there, values reach the script
 * whole (they travel as environment, not as text in front of it), the script's own interpreter runs
 * it, and nothing of it stays in the guest.
 */
import { posix } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { KiB } from '../../base/units.ts'
import type { CommandResult } from '../../remotes/remote.ts'
import type { Path } from '../../schema/find-faults.ts'
import { interpreterOf } from '../_interpreter.ts'
import { lintScript, looksAtTestOnly } from '../_lint-script.ts'
import { RESERVED_ARGUMENTS } from '../argument-values.ts'
import { defineValidator, type Difference, type Loading, type Scene } from '../validator.ts'
import { Type } from '../../schema/type.ts'
import { expectText, isBase64, isWebAddress } from './_texts.ts'

/** An environment variable can hold little more. Source: Linux MAX_ARG_STRLEN, 128 KiB. */
const MAX_OUTPUT = 64 * KiB

/** `path/to/script` or `path/to/script: {…}`, as both validators are written. */
function pathOrMapping(properties: Record<string, ReturnType<typeof Type.Optional>>) {
  return Type.Union([
    Type.String({ minLength: 1, title: 'the path of a script' }),
    Type.Record(Type.String(), Type.Object(properties, { additionalProperties: false }), {
      minProperties: 1,
      maxProperties: 1,
      title: 'one path with its options',
    }),
  ])
}

interface ScriptKeys {
  env_vars?: string[]
  output?: string
  inline?: string
  base64?: string
  url?: string
}

type ScriptSpec = string | Record<string, ScriptKeys>

export interface Script {
  name: string
  content: Buffer
  /** Fetched by the run; then `content` is empty. */
  url: string | undefined
  /** Arguments that the script gets, beside `test_only` and `distro`. */
  env: readonly string[]
  output: string | undefined
  /** Whether it knows the difference between looking and changing. */
  looksAtTestOnly: boolean
}

interface Source {
  name: string
  path: Path
  options: ScriptKeys
  content: Buffer
}

function loadSource(spec: ScriptSpec, loading: Loading): Source {
  const [name, options] =
    typeof spec === 'string' ? [spec, {}] : (Object.entries(spec)[0] ?? ['', {}])
  const path: Path = typeof spec === 'string' ? [] : [name]
  return { name, path, options, content: readSource(name, options, path, loading) }
}

function readSource(name: string, options: ScriptKeys, path: Path, loading: Loading): Buffer {
  const { inline, base64, url } = options
  const given = [inline, base64, url].filter((one) => one !== undefined)
  if (given.length > 1) loading.fault(path, "one of 'inline', 'base64' and 'url' is enough")
  expectText(loading, [...path, 'base64'], base64, isBase64)
  expectText(loading, [...path, 'url'], url, isWebAddress)
  if (inline !== undefined) return Buffer.from(inline)
  if (base64 !== undefined) return Buffer.from(base64, 'base64')
  return url === undefined ? loading.readResource(name, path) : Buffer.alloc(0)
}

function loadScript(spec: ScriptSpec, loading: Loading): Script {
  const { name, path, options, content } = loadSource(spec, loading)
  const { env_vars: env = [], output } = options
  for (const [index, argument] of env.entries())
    if (!RESERVED_ARGUMENTS.includes(argument))
      loading.usesArgument(argument, [...path, 'env_vars', index])
  if (output !== undefined) loading.makesArgument(output, [...path, 'output'])
  const script = {
    name,
    content,
    env,
    output,
    url: options.url,
    // Of one that is not here yet the best is hoped.
    looksAtTestOnly: options.url !== undefined || looksAtTestOnly(content.toString()),
  }
  if (script.url !== undefined) return script
  for (const message of [...lintLoaded(script, loading.isTest), ...lintScript(content)])
    loading.fault(path, `${name}: ${message}`, 'warning')
  return script
}

function lintLoaded(script: Script, isTest: boolean): string[] {
  if (script.content.length === 0) return ['the script is empty']
  // a test or a script with an output only ever looks
  if (isTest || script.looksAtTestOnly || script.output !== undefined) return []
  return [
    'it never looks at test_only, so a check runs all of it; with test_only=1 it must change nothing and end with 1 if something is to be done',
  ]
}

export const script = defineValidator<ScriptSpec, Script>({
  name: 'script',
  summary: 'a script of the recipe’s directory, run as root in the guest',
  description: `The script gets \`test_only\` (1 or 0), \`distro\` and the arguments named in \`env_vars\` as environment variables. With
\`test_only=1\` it must change nothing and end with 0 only if all is as it should be; with \`test_only=0\` it must make it so, also when it
runs a second time. Its first line (\`#!\`) says what runs it; \`sh\` does if there is none. \`output\` names an argument that is set to what
the script prints, without the line end. With \`inline\`, \`base64\` or \`url\` the key is just a label.`,
  example: `
- script: scripts/configure.sh
- script:
    scripts/install_java.sh:
      env_vars: [java_distro]
- script:
    count the processors:
      inline: nproc
      output: processors`,
  schema: pathOrMapping({
    env_vars: Type.Optional(
      Type.Array(Type.String(), {
        description: 'arguments the script gets as environment variables',
      }),
    ),
    output: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'the argument that is set to what the script prints',
      }),
    ),
    inline: Type.Optional(
      Type.String({ description: 'the text of the script; the key is then a label' }),
    ),
    base64: Type.Optional(Type.String({ description: 'the same, in base64' })),
    url: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'where this host fetches the script when it runs: https or http',
      }),
    ),
  }),
  load: loadScript,
  title: ({ name }) => `script ${name}`,
  reconcile: 'apply',
  needsCommand: () => true,
  check: async (options, scene) => {
    const result = await runScript(options, scene, true)
    return result.code === 0 ? [] : [toDifference(options, result)]
  },
  apply: async (options, scene) => {
    const result = await runScript(options, scene, false)
    if (result.code !== 0)
      throw new Failure(
        'STEP_FAILED',
        `script ${options.name} ended with ${result.code}${lastLine(result, ': ')}`,
        {
          details: {
            code: result.code,
            output: (result.stderr.trim() || result.stdout.trim()).slice(-8192),
          },
        },
      )
  },
})

async function runScript(options: Script, scene: Scene, testOnly: boolean): Promise<CommandResult> {
  const { remote, args } = scene
  const env: Record<string, string> = {
    test_only: testOnly ? '1' : '0',
    distro: args.get('distro') ?? scene.facts.distro,
  }
  for (const [name, value] of args.entries()) {
    const variable = args.variableOf(name)
    const asked = options.env.includes(name) || options.env.includes(variable)
    if (asked && variable !== 'test_only') env[variable] = value
  }
  const content = options.url === undefined ? options.content : await scene.fetch(options.url)
  // /run is memory, on hosts and in images; but it is often mounted noexec, so the interpreter is named.
  const directory = `/run/ingot-${scene.context.newId()}`
  const path = posix.join(directory, toFileName(options.name))
  const result = await remote.run({
    argv: ['/bin/sh', '-c', BRING, 'sh', directory, path, ...interpreterOf(content), path],
    input: content,
    env,
    timeoutMs: scene.commandTimeoutMs,
    onOutput: scene.onOutput,
  })
  if (options.output !== undefined && result.code === 0)
    args.set(options.output, toValue(options.name, result.stdout))
  return result
}

/**
 * Takes a script from standard input into a directory of its own, runs it, and takes the directory
 * away: one command, where each costs a second in an emulated guest. It sets no variable, since any
 * name may be that of an argument.
 */
const BRING = `(umask 077 && mkdir -p /run && mkdir "$1" && cat >"$2") || exit 126
trap "rm -rf $1" EXIT
trap "exit 143" HUP INT PIPE TERM
shift 2
"$@" </dev/null`

/** A name under which a script may lie; labels may be anything. */
function toFileName(name: string): string {
  const plain = posix.basename(name).replaceAll(/[^A-Za-z0-9._-]/g, '_')
  return plain.replace(/^\.+/, '') || 'script'
}

/** What a script printed, as the value of an argument. Fails with STEP_FAILED if it cannot be one. */
function toValue(name: string, stdout: string): string {
  const value = stdout.replace(/\n+$/, '')
  if (Buffer.byteLength(value) > MAX_OUTPUT)
    throw new Failure(
      'STEP_FAILED',
      `script ${name} printed ${Buffer.byteLength(value)} bytes; an argument holds at most ${MAX_OUTPUT}`,
    )
  if (value.includes('\0'))
    throw new Failure('STEP_FAILED', `script ${name} printed a NUL byte, which no argument holds`)
  return value
}

function toDifference(options: Script, result: CommandResult): Difference {
  return {
    what: `script ${options.name}`,
    expected: 'ends with 0',
    found: `ended with ${result.code}${lastLine(result, ': ')}`,
  }
}

function lastLine(result: CommandResult, before: string): string {
  const line = (result.stderr.trim() || result.stdout.trim()).split('\n').at(-1)
  return line ? before + line : ''
}

interface CopiedFile {
  name: string
  target: string
  content: Buffer
}

export const copyScript = defineValidator<ScriptSpec, CopiedFile>({
  name: 'copy_script',
  summary: 'a file put into the guest’s /tmp for the scripts that follow',
  description:
    'It lies at `/tmp/NAME`, NAME being the last part of its path, while the recipe runs; then it is removed, and what was there before is put back.',
  example: `
- copy_script: scripts/functions.sh
- script: scripts/uses_tmp_functions.sh`,
  schema: pathOrMapping({
    output: Type.Optional(
      Type.String({ description: 'accepted for recipes of Sahara; without effect there too' }),
    ),
    inline: Type.Optional(
      Type.String({ description: 'the text of the file; the key is then its name' }),
    ),
  }),
  load: (spec, loading) => {
    const { name, path, content } = loadSource(spec, loading)
    const base = posix.basename(name)
    if (['', '.', '..'].includes(base))
      loading.fault(path, `'${name}' cannot be the name of a file in /tmp`)
    return { name, content, target: posix.join('/tmp', base) }
  },
  title: ({ name, target }) => `copy ${name} to ${target}`,
  reconcile: 'apply',
  needsCommand: () => true,
  check: async (options, scene) => {
    await copy(options, scene)
    return []
  },
  apply: copy,
})

async function copy({ target, content }: CopiedFile, scene: Scene): Promise<void> {
  const { remote } = scene
  const found = await remote.stat(target)
  if (found && found.type !== 'file')
    throw new Failure('STEP_FAILED', `${target} is in the way: it is no file`)
  const before = found && (await remote.readFile(target))
  await remote.writeFile(target, content, { mode: 0o755 })
  scene.atEnd(() =>
    found && before
      ? remote.writeFile(target, before, { mode: found.mode, uid: found.uid, gid: found.gid })
      : remote.remove(target),
  )
}
