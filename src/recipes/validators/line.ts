/** `line`. */
import { messageOf } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { dropLines, setLine, toLines } from '../../guests/lines.ts'
import { isTemplate } from '../template.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { followLinks } from './_attributes.ts'
import { demandText, expectText, isGuestPath, isOneLine } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface LineOptions {
  path: string
  line?: string
  pattern?: string
  after?: string
  absent?: boolean
}

const MAX_FILE = 4 * MiB
/** Longer lines are never looked at by a pattern, which bounds what a pattern can cost. */
const MAX_LINE = 4096

export const line = defineValidator<LineOptions>({
  name: 'line',
  summary: 'a line in a file, or no such line',
  description: `With \`pattern\`, every line that matches must be \`line\`: the first that does becomes \`line\`, the others go. If there is
none, \`line\` is added at the end, or behind the last line that matches \`after\`. With \`absent\`, no line may match \`pattern\` or equal \`line\`.
A file that is not there is made. Patterns are JavaScript regular expressions and match anywhere in a line, so anchor them.`,
  example: `
- line:
    path: /etc/ssh/sshd_config
    pattern: ^#?PermitRootLogin\\b
    line: PermitRootLogin no
- line: {path: /etc/fstab, pattern: '\\sswap\\s', absent: true}`,
  schema: Type.Object(
    {
      path: Type.String({ minLength: 1, description: 'the file, an absolute path' }),
      line: Type.Optional(Type.String({ minLength: 1, description: 'the line, without its end' })),
      pattern: Type.Optional(
        Type.String({ minLength: 1, description: 'a regular expression for lines it stands for' }),
      ),
      after: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'a regular expression for the line that a new one is put behind',
        }),
      ),
      absent: Type.Optional(
        Type.Boolean({ description: 'whether there must be no such line; default false' }),
      ),
    },
    { additionalProperties: false },
  ),
  templated: true,
  load: (spec, loading) => {
    expectText(loading, ['path'], spec.path, isGuestPath)
    expectText(loading, ['line'], spec.line, isOneLine)
    expectText(loading, ['pattern'], spec.pattern, isPattern)
    expectText(loading, ['after'], spec.after, isPattern)
    if (spec.absent && spec.line === undefined && spec.pattern === undefined)
      loading.fault(['absent'], "wanted 'line' or 'pattern' to say which line must not be there")
    if (!spec.absent && spec.line === undefined)
      loading.fault([], "the key 'line' is missing (the line that must be there)")
    return spec
  },
  title: ({ path, line: text, pattern, absent }) => {
    const which = text ?? `/${pattern}/`
    return `${absent ? 'no line' : 'line'} ${isTemplate(which) ? '' : `'${shorten(which)}' `}in ${path}`
  },
  check: async (options, scene) => {
    const { before, after } = await edit(options, scene)
    return before === after ? [] : [toDifference(options, before)]
  },
  apply: async (options, scene) => {
    const { path, after } = await edit(options, scene)
    const stat = await scene.remote.stat(path)
    await scene.remote.writeFile(
      path,
      after,
      stat && { mode: stat.mode, uid: stat.uid, gid: stat.gid },
    )
  },
})

/** The file as it is and as it should be. */
async function edit(
  options: LineOptions,
  { remote }: Scene,
): Promise<{ path: string; before: string; after: string }> {
  demandText(options.path, isGuestPath)
  const path = await followLinks(remote, options.path)
  const before = (await remote.readText(path, MAX_FILE)) ?? ''
  const matches = toMatcher(options.pattern)
  if (options.absent)
    return { path, before, after: dropLines(before, (one) => one === options.line || matches(one)) }
  const behind = toMatcher(options.after)
  const place = (lines: readonly string[]) => {
    const found = lines.findLastIndex(behind)
    return found < 0 ? lines.length : found + 1
  }
  const text = demandText(options.line ?? '', isOneLine)
  return { path, before, after: setLine(before, text, matches, place) }
}

function toMatcher(pattern: string | undefined): (text: string) => boolean {
  if (pattern === undefined) return () => false
  const expression = new RegExp(demandText(pattern, isPattern), 'u')
  return (text) => text.length <= MAX_LINE && expression.test(text)
}

function isPattern(text: string): string | undefined {
  try {
    void new RegExp(text, 'u')
    return undefined
  } catch (error) {
    return `not a regular expression: ${messageOf(error)}`
  }
}

function toDifference(
  { path, line: text, pattern, absent }: LineOptions,
  before: string,
): Difference {
  const matches = toMatcher(pattern)
  const found = toLines(before).filter((one) => (absent && one === text) || matches(one))
  return {
    what: path,
    expected: absent ? `no line ${text ?? `/${pattern}/`}` : `the line '${text}'`,
    found: found.length === 0 ? 'no such line' : found.slice(0, 3).map(shorten).join(' | '),
  }
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}
