/**
 * `script` and `copy_script`.
 * Source: Sahara `plugins/images.py`, SaharaScriptValidator. Unlike there, values reach the script
 * whole (they travel as environment, not as text in front of it), the script's own interpreter runs
 * it, and nothing of it stays in the guest.
 */
import { posix } from 'node:path'
import { Type } from 'typebox'
import { Failure } from '../../base/failure.ts'
import type { CommandResult } from '../../remotes/remote.ts'
import type { Path } from '../../schema/find-faults.ts'
import { defineValidator, type Difference, type Loading, type Scene } from '../validator.ts'

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

type ScriptSpec = string | Record<string, { env_vars?: string[]; output?: string; inline?: string }>

interface Script {
  name: string
  content: Buffer
  /** Arguments that the script gets, beside `test_only` and `distro`. */
  env: readonly string[]
  output: string | undefined
}

function loadScript(spec: ScriptSpec, loading: Loading): Script {
  const [name, options] =
    typeof spec === 'string' ? [spec, {}] : (Object.entries(spec)[0] ?? ['', {}])
  const path: Path = typeof spec === 'string' ? [] : [name]
  const content =
    options.inline === undefined ? loading.readResource(name, path) : Buffer.from(options.inline)
  for (const [index, argument] of (options.env_vars ?? []).entries())
    loading.usesArgument(argument, [...path, 'env_vars', index])
  if (options.output !== undefined) loading.makesArgument(options.output)
  return { name, content, env: options.env_vars ?? [], output: options.output }
}

export const script = defineValidator<ScriptSpec, Script>({
  name: 'script',
  summary: 'a script of the recipe’s directory, run as root in the guest',
  description: `The script gets \`test_only\` (1 or 0), \`distro\` and the arguments named in \`env_vars\` as environment variables. With
\`test_only=1\` it must change nothing and end with 0 only if all is as it should be; with \`test_only=0\` it must make it so, also when it
runs a second time. Its first line (\`#!\`) says what runs it; \`sh\` does if there is none. \`output\` names an argument that is set to what
the script prints, without the line end. With \`inline\` the key is just a label.`,
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
  }),
  load: loadScript,
  title: ({ name }) => `script ${name}`,
  reconcile: 'apply',
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
    distro: scene.facts.distro,
  }
  for (const [name, value] of args.entries()) {
    const variable = args.variableOf(name)
    if (options.env.includes(name) || options.env.includes(variable)) env[variable] = value
  }
  // /run is memory, on hosts and in images; but it is often mounted noexec, so the interpreter is named.
  const directory = `/run/ingot-${scene.context.newId()}`
  const path = posix.join(
    directory,
    posix.basename(options.name).replaceAll(/[^A-Za-z0-9._-]/g, '_') || 'script',
  )
  try {
    await remote.writeFile(path, options.content, { mode: 0o700 })
    const result = await remote.run({
      argv: [...interpreterOf(options.content), path],
      env,
      timeoutMs: scene.commandTimeoutMs,
      onOutput: scene.onOutput,
    })
    if (options.output !== undefined && result.code === 0)
      args.set(options.output, result.stdout.replace(/\n+$/, ''))
    return result
  } finally {
    await remote.remove(directory)
  }
}

/**
 * The words that run a script, from its first line; `sh` if it names none.
 * Source: execve(2): all after the interpreter is one argument; `env -S` splits it.
 */
export function interpreterOf(content: Uint8Array): readonly string[] {
  const match = /^#![ \t]*(\S+)(?:[ \t]+(.*?))?[ \t]*\r?(?:\n|$)/.exec(
    Buffer.from(content.subarray(0, 512)).toString('latin1'),
  )
  if (!match?.[1]) return ['/bin/sh']
  return match[2] ? [match[1], match[2]] : [match[1]]
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
    'It lies at `/tmp/NAME`, NAME being the last part of its path, while the recipe runs; then it is removed.',
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
    const { name, content } = loadScript(spec, loading)
    return { name, content, target: posix.join('/tmp', posix.basename(name)) }
  },
  title: ({ name, target }) => `copy ${name} to ${target}`,
  reconcile: 'apply',
  check: async (options, scene) => {
    await copy(options, scene)
    return []
  },
  apply: copy,
})

async function copy({ target, content }: CopiedFile, scene: Scene): Promise<void> {
  await scene.remote.writeFile(target, content, { mode: 0o755 })
  scene.atEnd(() => scene.remote.remove(target))
}
