/** `command`. */
import { Failure } from '../../base/failure.ts'
import { readAccounts, refuseAccountName } from '../../guests/accounts.ts'
import type { CommandResult } from '../../remotes/remote.ts'
import { argumentsIn } from '../template.ts'
import { defineValidator, type Loading, type Scene } from '../validator.ts'
import { demandText, expectText, isGuestPath } from './_texts.ts'
import { Type } from '../../schema/type.ts'

type Words = string | string[]

interface CommandOptions {
  run: Words
  unless?: Words
  creates?: string
  env?: Record<string, string>
  user?: string
  directory?: string
}

const wordsSchema = (description: string) =>
  Type.Union(
    [
      Type.String({ minLength: 1, title: 'a line for sh' }),
      Type.Array(Type.String(), { minItems: 1, title: 'a program with its arguments' }),
    ],
    { description },
  )

export const command = defineValidator<CommandOptions>({
  name: 'command',
  summary: 'a command that is run unless its work is done',
  description: `A list is a program with its arguments and no shell; a text is given to \`sh -e\`. \`creates\` (a path that the command makes) or
\`unless\` (a command that ends with 0 when nothing is to be done, and changes nothing) says when the work is done: one of them is needed, since it is
what a check looks at, before and after. For anything longer, use \`script\`.`,
  example: `
- command:
    run: [openssl, dhparam, -out, /etc/ssl/dh.pem, "2048"]
    creates: /etc/ssl/dh.pem
- command:
    run: adduser --system --group "$NAME"
    unless: id "$NAME"
    env: {NAME: app}`,
  schema: Type.Object(
    {
      run: wordsSchema('what is run'),
      unless: Type.Optional(wordsSchema('ends with 0 when the work is done; must change nothing')),
      creates: Type.Optional(
        Type.String({ minLength: 1, description: 'a path that is there when the work is done' }),
      ),
      env: Type.Optional(
        Type.Record(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }), Type.String(), {
          description: 'environment variables for both commands; never shown in lists of processes',
        }),
      ),
      user: Type.Optional(
        Type.String({ minLength: 1, description: 'who runs it; root when left out' }),
      ),
      directory: Type.Optional(
        Type.String({ minLength: 1, description: 'where it is run; / when left out' }),
      ),
    },
    { additionalProperties: false },
  ),
  templated: true,
  load: (spec, loading) => {
    if (spec.unless === undefined && spec.creates === undefined)
      loading.fault([], "wanted 'unless' or 'creates', so that a check can tell whether it is done")
    refuseSecrets(spec, loading)
    expectText(loading, ['creates'], spec.creates, isGuestPath)
    expectText(loading, ['directory'], spec.directory, isGuestPath)
    expectText(loading, ['user'], spec.user, refuseAccountName)
    for (const name of Object.keys(spec.env ?? {}))
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
        loading.fault(['env', name], `'${name}' cannot be the name of an environment variable`)
    return spec
  },
  needsCommand: ({ unless }) => unless !== undefined,
  title: ({ run }) => `command ${shorten(typeof run === 'string' ? run : run.join(' '))}`,
  check: async (options, scene) => {
    const { creates, unless } = options
    if (creates !== undefined && (await scene.remote.exists(demandText(creates, isGuestPath))))
      return []
    if (unless === undefined) return [{ what: creates ?? '', expected: 'there', found: 'nothing' }]
    const { code } = await runWords(unless, options, scene)
    if (code === 0) return []
    const what = shorten(typeof unless === 'string' ? unless : unless.join(' '))
    return [{ what, expected: 'ends with 0', found: `ends with ${code}` }]
  },
  apply: async (options, scene) => {
    const { code, stdout, stderr } = await runWords(options.run, options, scene)
    if (code === 0) return
    const output = (stderr.trim() || stdout.trim()).slice(-8192)
    throw new Failure(
      'STEP_FAILED',
      `the command ended with ${code}: ${output.split('\n').at(-1) || 'no output'}`,
      { details: { code, output } },
    )
  },
})

/** Every process of the guest sees the words that another was started with. */
function refuseSecrets(spec: CommandOptions, loading: Loading): void {
  for (const key of ['run', 'unless'] as const)
    for (const name of argumentsIn([spec[key] ?? []].flat()))
      if (loading.argument(name)?.secret)
        loading.fault(
          [key],
          `'${name}' is a secret, and every process of the guest sees the words of a command; give it by env`,
        )
}

async function runWords(
  words: Words,
  options: CommandOptions,
  scene: Scene,
): Promise<CommandResult> {
  const { directory, user, env = {} } = options
  let argv = typeof words === 'string' ? ['/bin/sh', '-e', '-c', words] : words
  const account: Record<string, string> = {}
  if (user !== undefined) {
    const name = demandText(user, refuseAccountName)
    const found = (await readAccounts(scene.remote)).users.find((one) => one.name === name)
    if (!found) throw new Failure('STEP_FAILED', `the guest has no user '${name}'`)
    Object.assign(account, { HOME: found.home, USER: name, LOGNAME: name })
    argv = ['runuser', '-u', name, '--', ...argv]
  }
  if (directory !== undefined) {
    const path = demandText(directory, isGuestPath)
    argv = ['/bin/sh', '-c', 'cd -- "$1" && shift && exec "$@"', 'sh', path, ...argv]
  }
  return await scene.remote.run({
    argv,
    env: { ...account, ...env },
    timeoutMs: scene.commandTimeoutMs,
    onOutput: scene.onOutput,
  })
}

function shorten(text: string): string {
  const line = text.trim().split('\n')[0] ?? ''
  return line.length > 60 ? `${line.slice(0, 57)}…` : line
}
