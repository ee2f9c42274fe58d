import { formatSize } from '../../base/units.ts'
import type { InstallSource, OsName, Template } from '../template.ts'
import { maskAll } from './secrets.ts'

export interface TemplateDescription {
  readonly name: string
  readonly description: string
  readonly os: OsName | undefined
  /** What the OS builder is told, each with a title. */
  readonly install: readonly (readonly [title: string, text: string])[]
  /** YAML. */
  readonly recipe: string
  /** The recipe, with all that is not in it as comments. */
  readonly text: string
}

/** What becomes of a TDL, for people; `secrets` are masked. `recipe` is the YAML that it becomes. */
export function describeTemplate(
  template: Template,
  recipe: string,
  secrets: readonly string[],
): TemplateDescription {
  const mask = (text: string) => maskAll(text, secrets)
  const { name, description, os } = template
  const install = describeInstall(template).map(([title, text]) => [title, mask(text)] as const)
  const comments = install.map(
    ([title, text]) => `#   ${`${title}:`.padEnd(20)}${text.replaceAll(LINE_BREAK, '\n#   ')}`,
  )
  return {
    name,
    description: mask(description),
    os,
    install,
    recipe: mask(recipe),
    text: ['# For the OS builder:', ...comments, '# To be done in the guest:', mask(recipe)].join(
      '\n',
    ),
  }
}

/** Whatever ends a comment of YAML. Source: YAML 1.1, 5.4. */
const LINE_BREAK = /\r\n?|[\n\x85\u2028\u2029]/g

type Row = readonly [title: string, text: string | null | undefined]

function describeInstall({ os, install, icicleCommand }: Template): [string, string][] {
  const rows: Row[] = [
    ['system', os && `${os.name} ${os.version} ${os.arch}`],
    ...(install ? describeSource(install.source) : []),
    ['disk', install && formatSize(install.diskSize)],
    ['root password', install?.rootPassword],
    ['product key', install?.productKey],
    ['kernel parameters', install?.kernelParameters],
    ['ICICLE command', icicleCommand],
  ]
  return rows.flatMap(([title, text]) => (text ? [[title, text]] : []))
}

function describeSource(source: InstallSource): Row[] {
  if (source.type === 'url') return [['installed from', source.url]]
  const { url, checksum, extras } = source
  return [
    ['installed from', `the ISO ${url}`],
    ['checked by', checksum && `${checksum.algorithm.toUpperCase()} in ${checksum.url}`],
    ...extras.map((extra): Row => [
      'put into the ISO',
      `the ${extra.kind} ${extra.source} as ${extra.destination}`,
    ]),
  ]
}
