import type { InstallSource } from '../template.ts'
import { toDiskSizeText } from './_text-rules.ts'
import type { Tdl, TdlCommand, TdlContent, TdlRepository } from './tdl.ts'

/** Lines of XML. Texts stand on the lines of their elements, since white space at their ends is not theirs. */
type Lines = readonly string[]

/** A template as XML; what is as usual is left out. Read again, it says the same. */
export function printTdl(tdl: Tdl): string {
  const { diskSize, repositories, packages, files, precommands, commands } = tdl
  const lines = parent('template', { version: '1.0' }, [
    ...leaf('name', tdl.name),
    ...leaf('description', tdl.description || null),
    ...parent('os', {}, printOs(tdl)),
    ...list('disk', leaf('size', diskSize === null ? null : toDiskSizeText(diskSize))),
    ...list('repositories', repositories.flatMap(printRepository)),
    ...list(
      'packages',
      packages.flatMap(({ name }) => parent('package', { name }, [])),
    ),
    ...list(
      'files',
      files.flatMap(({ path, content }) => printContent('file', path, content)),
    ),
    ...list('precommands', precommands.flatMap(printCommand)),
    ...list('commands', commands.flatMap(printCommand)),
  ])
  return ['<?xml version="1.0" encoding="UTF-8"?>', ...lines, ''].join('\n')
}

function printOs({ os, install, ...tdl }: Tdl): Lines {
  return [
    ...leaf('name', os.name),
    ...leaf('version', os.version),
    ...leaf('arch', os.arch),
    ...parent('install', { type: install.type }, printInstall(install)),
    ...leaf('rootpw', tdl.rootPassword),
    ...leaf('key', tdl.productKey),
    ...leaf('kernelparam', tdl.kernelParameters),
    ...list('icicle', leaf('extra_command', tdl.icicleCommand)),
  ]
}

function printInstall(install: InstallSource): Lines {
  if (install.type === 'url') return leaf('url', install.url)
  const { checksum, extras } = install
  return [
    ...leaf('iso', install.url),
    ...(checksum ? leaf(`${checksum.algorithm}sum`, checksum.url) : []),
    ...list(
      'extras',
      extras.flatMap(({ kind, source, destination }) => parent(kind, { source, destination }, [])),
    ),
  ]
}

function printRepository({ name, url, signed, persisted, sslVerify }: TdlRepository): Lines {
  return parent('repository', { name }, [
    ...leaf('url', url),
    ...leaf('signed', signed ? 'yes' : null),
    ...leaf('persisted', persisted ? null : 'no'),
    ...leaf('sslverify', sslVerify ? 'yes' : null),
  ])
}

function printCommand({ name, content }: TdlCommand): Lines {
  return printContent('command', name, content)
}

function printContent(element: string, name: string, content: TdlContent): Lines {
  if (content.type === 'raw') return leaf(element, content.text, { name })
  const { type } = content
  const text = type === 'url' ? content.url : content.bytes.toString('base64')
  return leaf(element, text, { name, type })
}

type Attributes = Readonly<Record<string, string>>

/** An element with a text; nothing if there is none. */
function leaf(name: string, text: string | null, attributes: Attributes = {}): Lines {
  return text === null ? [] : [`<${name}${print(attributes)}>${escape(text)}</${name}>`]
}

/** An element with others in it, which are indented; but not the later lines of a text. */
function parent(name: string, attributes: Attributes, children: Lines): Lines {
  const start = `<${name}${print(attributes)}`
  if (children.length === 0) return [`${start}/>`]
  return [`${start}>`, ...children.map((line) => `  ${line}`), `</${name}>`]
}

/** An element that is left out when nothing is in it. */
function list(name: string, children: Lines): Lines {
  return children.length === 0 ? [] : parent(name, {}, children)
}

function print(attributes: Attributes): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}="${escape(value).replaceAll(/[\t\n]/g, toReference)}"`)
    .join('')
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"\r]/g, toReference)
}

function toReference(character: string): string {
  const names: Attributes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return names[character] ?? `&#${character.codePointAt(0)};`
}
