/** `kernel_argument`. */
import { Failure } from '../../base/failure.ts'
import {
  DEFAULTS,
  editBootLines,
  editCommandLine,
  MENUS,
  parseCommandLine,
  readBootLines,
  readDefaults,
  VARIABLES,
} from '../../guests/grub.ts'
import type { Remote } from '../../remotes/remote.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { demandText, expectText } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface ArgumentOptions {
  name: string
  value?: string
  absent?: boolean
}

/** Arguments that mean more the more often they are said. */
const REPEATABLE = ['console', 'earlycon', 'earlyprintk', 'modprobe.blacklist']

export const kernelArgument = defineValidator<string | ArgumentOptions, ArgumentOptions>({
  name: 'kernel_argument',
  summary: 'an argument that the boot loader gives to the kernel, or does not',
  description: `For guests that boot by GRUB. The argument is put into \`GRUB_CMDLINE_LINUX\`, in place of other values of the same name (\`console\`
may stand there several times), and into the menu. A check looks at the settings and at the menu or the boot loader entries. It is in force at
the next boot.`,
  example: `
- kernel_argument: net.ifnames=0
- kernel_argument: {name: quiet, absent: true}`,
  schema: Type.Union([
    Type.String({ minLength: 1, title: 'an argument such as net.ifnames=0' }),
    Type.Object(
      {
        name: Type.String({ minLength: 1, description: 'what stands before the `=`' }),
        value: Type.Optional(Type.String({ description: 'what stands behind it' })),
        absent: Type.Optional(
          Type.Boolean({ description: 'whether it must not be there, with any value' }),
        ),
      },
      { additionalProperties: false },
    ),
  ]),
  templated: true,
  load: (spec, loading) => {
    const options = typeof spec === 'string' ? toOptions(spec) : spec
    expectText(loading, typeof spec === 'string' ? [] : ['name'], options.name, isWord)
    expectText(loading, typeof spec === 'string' ? [] : ['value'], options.value, isWord)
    if (options.absent && options.value !== undefined)
      loading.fault(['absent'], 'an argument that must not be there has no value')
    return options
  },
  title: (options) =>
    `${options.absent ? 'no kernel argument' : 'kernel argument'} ${toToken(options)}`,
  check: async (options, scene) => {
    const settings = await readDefaults(scene.remote)
    const menus = await readBootLines(scene.remote)
    if (settings.length === 0 && menus.length === 0)
      throw new Failure('STEP_FAILED', `${scene.remote.name} does not boot by GRUB`)
    const differences: Difference[] = []
    if (settings.length > 0) {
      const words = VARIABLES.flatMap(
        (variable) =>
          settings
            .map(({ text }) => parseCommandLine(text, variable))
            .findLast((found) => found !== undefined) ?? [],
      )
      differences.push(...compare(DEFAULTS, words, options))
    }
    for (const { path, lines } of menus)
      differences.push(...lines.flatMap((words) => compare(path, words, options)).slice(0, 1))
    return differences
  },
  apply: async (options, scene) => {
    const settings = await readDefaults(scene.remote)
    if (settings.length > 0) await editSettings(options, settings, scene.remote)
    await changeMenus(options, scene)
    return 'in force at the next boot'
  },
})

function toOptions(text: string): ArgumentOptions {
  const at = text.indexOf('=')
  return at < 0 ? { name: text } : { name: text.slice(0, at), value: text.slice(at + 1) }
}

function toToken({ name, value }: ArgumentOptions): string {
  return value === undefined ? name : `${name}=${value}`
}

/** The words as they should be. */
function correct(words: readonly string[], options: ArgumentOptions, add: boolean): string[] {
  const token = toToken(options)
  const isOther = (word: string) =>
    (word === options.name || word.startsWith(`${options.name}=`)) &&
    (options.absent || (word !== token && !REPEATABLE.includes(options.name)))
  const kept = words.filter((word) => !isOther(word))
  return add && !options.absent && !kept.includes(token) ? [...kept, token] : kept
}

function compare(what: string, words: readonly string[], options: ArgumentOptions): Difference[] {
  if (correct(words, options, true).join(' ') === words.join(' ')) return []
  return [
    {
      what: `kernel arguments in ${what}`,
      expected: `${options.absent ? 'no ' : ''}${toToken(options)}`,
      found: words.join(' ') || 'none',
    },
  ]
}

async function editSettings(
  options: ArgumentOptions,
  settings: readonly { path: string; text: string }[],
  remote: Remote,
): Promise<void> {
  for (const value of [options.name, options.value]) demandText(value ?? '', isWord)
  // The last file that says anything has the last word.
  const last = settings.findLast(({ text }) => parseCommandLine(text, VARIABLES[0]))
  for (const { path, text } of settings) {
    let edited = text
    for (const variable of VARIABLES) {
      const add = variable === VARIABLES[0] && path === last?.path
      edited = editCommandLine(edited, variable, (words) => correct(words, options, add))
    }
    if (!last && path === settings[0]?.path && !options.absent)
      edited = `${edited}${edited.endsWith('\n') ? '' : '\n'}${VARIABLES[0]}="${toToken(options)}"\n`
    if (edited === text) continue
    const stat = await remote.stat(path)
    await remote.writeFile(path, edited, stat && { mode: stat.mode, uid: stat.uid, gid: stat.gid })
  }
}

/**
 * Brings what the boot loader offers to what the settings say. On a host its own programs do that.
 * In an image they would look for disks that are not there, so the lines are changed as they would.
 */
async function changeMenus(options: ArgumentOptions, scene: Scene): Promise<void> {
  const { remote } = scene
  for (const { path, lines } of await readBootLines(remote)) {
    if (lines.every((words) => compare(path, words, options).length === 0)) continue
    const text = (await remote.readText(path)) ?? ''
    const edited = editBootLines(text, (words) => correct(words, options, true))
    // A line that is made of GRUB's variables is changed where grubby keeps them.
    if (remote.place === 'host' || /^options\s.*\$kernelopts/m.test(text))
      return await makeMenus(options, scene)
    const stat = await remote.stat(path)
    await remote.writeFile(path, edited, stat && { mode: stat.mode, uid: stat.uid, gid: stat.gid })
  }
}

async function makeMenus(options: ArgumentOptions, scene: Scene): Promise<void> {
  const { remote } = scene
  const run = async (argv: readonly string[]) => {
    await remote.runOk({ argv, timeoutMs: scene.commandTimeoutMs, onOutput: scene.onOutput })
  }
  if (await remote.exists('/usr/sbin/grubby')) {
    const order = options.absent ? '--remove-args' : '--args'
    await run(['/usr/sbin/grubby', '--update-kernel=ALL', `${order}=${toToken(options)}`])
  }
  for (const menu of MENUS) {
    if (!(await remote.exists(menu))) continue
    for (const program of ['grub-mkconfig', 'grub2-mkconfig'])
      for (const directory of ['/usr/sbin', '/usr/bin', '/sbin'])
        if (await remote.exists(`${directory}/${program}`))
          return await run([`${directory}/${program}`, '-o', menu])
  }
}

/** Source: the kernel's "kernel-parameters": words without spaces; GRUB's shell reads quotes and `$`. */
function isWord(text: string): string | undefined {
  return /^[A-Za-z0-9_.,:;@%/+=~^[\]{}-]*$/.test(text)
    ? undefined
    : `'${text}' cannot be part of a kernel argument`
}
