/** `file` and `directory`. */
import { Failure } from '../../base/failure.ts'
import type { FileStat } from '../../remotes/remote.ts'
import { parseTemplate } from '../template.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import {
  attributeKeys,
  type AttributeOptions,
  compareAttributes,
  followLinks,
  resolveAttributes,
} from './_attributes.ts'
import { demandText, expectText, isBase64, isGuestPath, isWebAddress } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface FileSpec extends AttributeOptions {
  path: string
  content?: string
  template?: string
  source?: string
  template_source?: string
  base64?: string
  url?: string
  absent?: boolean
}

interface FileOptions extends AttributeOptions {
  path: string
  /** As it stands. */
  content?: string | Buffer
  /** Filled in by the run. */
  template?: string
  /** Fetched by the run. */
  url?: string
  absent?: boolean
}

const CONTENT_KEYS = ['content', 'template', 'source', 'template_source', 'base64', 'url'] as const

export const file = defineValidator<FileSpec, FileOptions>({
  name: 'file',
  summary: 'a file with this content, owner and mode, or no such file',
  description: `The content is given by one of these keys: \`content\` (taken as it stands), \`template\` (a text in which \`{{ argument }}\` and
\`{{ facts.distro }}\` are filled in), \`source\` (a file beside the recipe, byte for byte), \`template_source\` (such a file, filled in), \`base64\` (any bytes), \`url\` (what
stands at an address when the step runs; \`download\` makes sure that it is what you meant). Without any of them only owner and mode are looked at, and a missing file is made empty. Owner and mode that are left out stay as they are; a new file is root’s,
with mode 0644. A link in the way is replaced, a directory is not.`,
  example: `
- file:
    path: /etc/motd
    content: |
      Built by Ingot.
- file:
    path: /etc/app/app.conf
    template: |
      listen = {{ port }}
    owner: root
    group: daemon
    mode: "0640"
- file: {path: /etc/nginx/sites-enabled/default, absent: true}`,
  schema: Type.Object(
    {
      path: Type.String({ minLength: 1, description: 'where it is, an absolute path' }),
      content: Type.Optional(Type.String({ description: 'what is in it, as it stands' })),
      template: Type.Optional(
        Type.String({ description: 'what is in it, with `{{ argument }}` to be filled in' }),
      ),
      source: Type.Optional(
        Type.String({ minLength: 1, description: 'a file beside the recipe that is copied' }),
      ),
      template_source: Type.Optional(
        Type.String({ minLength: 1, description: 'a file beside the recipe that is a template' }),
      ),
      base64: Type.Optional(Type.String({ description: 'what is in it, in base64' })),
      url: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'where this host fetches it when the step runs: https or http, 64 MiB',
        }),
      ),
      ...attributeKeys,
      absent: Type.Optional(Type.Boolean({ description: 'whether it must not be there' })),
    },
    { additionalProperties: false },
  ),
  templated: true,
  verbatim: ['content', 'base64'],
  load: (spec, loading) => {
    const { path, content, template, source, template_source, base64, url, absent, ...attributes } =
      spec
    expectText(loading, ['path'], path, isGuestPath)
    expectText(loading, ['url'], url, isWebAddress)
    expectText(loading, ['base64'], base64, isBase64)
    const given = CONTENT_KEYS.filter((key) => spec[key] !== undefined)
    if (given.length > 1)
      loading.fault([given[1] ?? 0], `one content is enough, found ${given.join(' and ')}`)
    if (absent && Object.keys(spec).length > 2)
      loading.fault(['absent'], 'a file that must not be there has no content, owner or mode')
    const options: FileOptions = { path, ...attributes }
    if (absent !== undefined) options.absent = absent
    if (content !== undefined) options.content = content
    if (template !== undefined) options.template = template
    if (base64 !== undefined) options.content = Buffer.from(base64, 'base64')
    if (url !== undefined) options.url = url
    if (source !== undefined) options.content = loading.readResource(source, ['source'])
    if (template_source !== undefined) {
      options.template = loading.readResource(template_source, ['template_source']).toString()
      try {
        for (const name of parseTemplate(options.template).uses)
          loading.usesArgument(name, ['template_source'])
      } catch (error) {
        loading.fault(['template_source'], `${template_source}: ${(error as Error).message}`)
      }
    }
    return options
  },
  title: ({ path, absent }) => (absent ? `no file ${path}` : `file ${path}`),
  check: async (options, scene) => {
    const { remote } = scene
    const path = demandText(options.path, isGuestPath)
    const stat = await remote.stat(path)
    if (options.absent)
      return stat ? [{ what: path, expected: 'nothing', found: describe(stat) }] : []
    if (stat?.type !== 'file') return [{ what: path, expected: 'a file', found: describe(stat) }]
    return [
      ...(await compareContent(path, stat, await contentOf(options, scene), scene)),
      ...compareAttributes(path, stat, await resolveAttributes(remote, options)),
    ]
  },
  apply: async (options, scene) => {
    const { remote } = scene
    const { path } = options
    const stat = await remote.stat(path)
    if (stat?.type === 'directory')
      throw new Failure('STEP_FAILED', `${path} is a directory; it is not replaced by a file`)
    if (options.absent) return await remote.remove(path)
    const attributes = await resolveAttributes(remote, options)
    const content = await contentOf(options, scene)
    if (content === undefined && stat?.type === 'link')
      throw new Failure(
        'STEP_FAILED',
        `${path} is a link to ${stat.target}; name that file instead`,
      )
    if (content === undefined && stat) return await remote.setAttributes(path, attributes)
    const { mode, uid, gid } = stat?.type === 'file' ? stat : { mode: 0o644, uid: 0, gid: 0 }
    await remote.writeFile(path, content ?? '', { mode, uid, gid, ...attributes })
  },
})

async function contentOf(
  { content, template, url }: FileOptions,
  scene: Scene,
): Promise<Buffer | undefined> {
  if (url !== undefined) return await scene.fetch(demandText(url, isWebAddress))
  const given = content ?? template
  return typeof given === 'string' ? Buffer.from(given) : given
}

function describe(stat: FileStat | undefined): string {
  if (!stat) return 'nothing'
  if (stat.type === 'link') return `a link to ${stat.target}`
  return { file: 'a file', directory: 'a directory', other: 'something else' }[stat.type]
}

async function compareContent(
  path: string,
  stat: FileStat,
  wanted: Buffer | undefined,
  scene: Scene,
): Promise<Difference[]> {
  if (wanted === undefined) return []
  const what = `content of ${path}`
  // A file of another size by far is not worth reading.
  if (stat.size > 2 * wanted.length + 65_536)
    return [{ what, expected: `${wanted.length} bytes`, found: `${stat.size} bytes` }]
  const found = Buffer.from((await scene.remote.readFile(path)) ?? [])
  if (found.equals(wanted)) return []
  if (wanted.includes(0) || found.includes(0))
    return [{ what, expected: `other ${wanted.length} bytes`, found: `${found.length} bytes` }]
  return [{ what, ...firstDifference(wanted.toString(), found.toString()) }]
}

/** The first line that is not the same, with its number. */
function firstDifference(wanted: string, found: string): { expected: string; found: string } {
  const [wantedLines, foundLines] = [wanted.split('\n'), found.split('\n')]
  const at = wantedLines.findIndex((line, index) => line !== foundLines[index])
  const line = at < 0 ? wantedLines.length : at
  const show = (lines: string[]) => {
    const text = lines[line]
    return text === undefined
      ? `no line ${line + 1}`
      : `line ${line + 1}: ${text.length > 80 ? `${text.slice(0, 77)}…` : text}`
  }
  return { expected: show(wantedLines), found: show(foundLines) }
}

interface DirectoryOptions extends AttributeOptions {
  path: string
  absent?: boolean
}

export const directory = defineValidator<string | DirectoryOptions, DirectoryOptions>({
  name: 'directory',
  summary: 'a directory with this owner and mode, or no such directory',
  description:
    'Missing parents are made too, root’s with mode 0755. A link to a directory is a directory. `absent` removes everything below.',
  example: `
- directory: /srv/www
- directory: {path: /var/lib/app, owner: daemon, group: daemon, mode: "0750"}`,
  schema: Type.Union([
    Type.String({ minLength: 1, title: 'the path of a directory' }),
    Type.Object(
      {
        path: Type.String({ minLength: 1, description: 'where it is, an absolute path' }),
        ...attributeKeys,
        absent: Type.Optional(Type.Boolean({ description: 'whether it must not be there' })),
      },
      { additionalProperties: false },
    ),
  ]),
  templated: true,
  load: (spec, loading) => {
    const options = typeof spec === 'string' ? { path: spec } : spec
    expectText(loading, typeof spec === 'string' ? [] : ['path'], options.path, isGuestPath)
    if (options.absent && Object.keys(options).length > 2)
      loading.fault(['absent'], 'a directory that must not be there has no owner or mode')
    return options
  },
  title: ({ path, absent }) => (absent ? `no directory ${path}` : `directory ${path}`),
  check: async (options, { remote }) => {
    const path = demandText(options.path, isGuestPath)
    if (options.absent) {
      const stat = await remote.stat(path)
      return stat ? [{ what: path, expected: 'nothing', found: describe(stat) }] : []
    }
    const stat = await remote.stat(await followLinks(remote, path))
    if (stat?.type !== 'directory')
      return [{ what: path, expected: 'a directory', found: describe(stat) }]
    return compareAttributes(path, stat, await resolveAttributes(remote, options))
  },
  apply: async (options, { remote }) => {
    const path = await followLinks(remote, options.path)
    const stat = await remote.stat(path)
    if (stat && stat.type !== 'directory')
      throw new Failure('STEP_FAILED', `${path} is not a directory; it is left alone`)
    if (options.absent) return await remote.remove(options.path)
    if (!stat) await remote.makeDirectory(path)
    await remote.setAttributes(path, await resolveAttributes(remote, options))
  },
})
