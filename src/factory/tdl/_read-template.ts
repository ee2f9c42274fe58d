/** What a template without faults says. */
import type { InstallSource, OsName } from '../template.ts'
import { attributeOf, type Faults } from './_check.ts'
import { findAll, findOne, nameOf, textAt } from './_elements.ts'
import { readContent } from './_read-content.ts'
import { BOOLEANS, parseDiskSize, toGuestPath } from './_text-rules.ts'
import type { XmlElement } from './_xml.ts'
import type { ParseTdlOptions } from './parse-tdl.ts'
import type { Tdl, TdlCommand, TdlRepository } from './tdl.ts'

export function readTemplate(template: XmlElement, options: ParseTdlOptions, faults: Faults): Tdl {
  const os = (...path: readonly string[]) => textAt(template, 'os', ...path)
  const size = textAt(template, 'disk', 'size')
  const content = (element: XmlElement) => readContent(element, options, faults)
  return {
    name: textAt(template, 'name') ?? '',
    description: textAt(template, 'description') ?? '',
    os: readOs(template),
    install: readInstall(findOne(template, 'os', 'install') ?? template),
    rootPassword: os('rootpw') ?? null,
    productKey: os('key') ?? null,
    kernelParameters: os('kernelparam') ?? null,
    icicleCommand: os('icicle', 'extra_command') ?? null,
    diskSize: size === undefined ? null : (parseDiskSize(size) ?? null),
    repositories: lastOfEach(
      findAll(template, 'repositories', 'repository').map(readRepository),
      ({ name }) => name,
    ),
    packages: lastOfEach(
      findAll(template, 'packages', 'package').map((one) => ({ name: nameOf(one) })),
      ({ name }) => name,
    ),
    files: lastOfEach(
      findAll(template, 'files', 'file').map((file) => ({
        path: toGuestPath(nameOf(file)),
        content: content(file),
      })),
      ({ path }) => path,
    ),
    precommands: readCommands(findAll(template, 'precommands', 'command'), content),
    commands: readCommands(findAll(template, 'commands', 'command'), content),
  }
}

function readOs(template: XmlElement): OsName {
  const os = (name: string) => textAt(template, 'os', name) ?? ''
  return { name: os('name'), version: os('version'), arch: os('arch') }
}

const CHECKSUMS = { md5sum: 'md5', sha1sum: 'sha1', sha256sum: 'sha256' } as const

function readInstall(install: XmlElement): InstallSource {
  if (attributeOf(install, 'type') === 'url')
    return { type: 'url', url: textAt(install, 'url') ?? '' }
  const sums = Object.entries(CHECKSUMS).flatMap(([name, algorithm]) => {
    const url = textAt(install, name)
    return url === undefined ? [] : [{ algorithm, url }]
  })
  return {
    type: 'iso',
    url: textAt(install, 'iso') ?? '',
    ...(sums[0] && { checksum: sums[0] }),
    extras: (['file', 'directory'] as const).flatMap((kind) =>
      findAll(install, 'extras', kind).map((extra) => ({
        kind,
        source: attributeOf(extra, 'source') ?? '',
        destination: attributeOf(extra, 'destination') ?? '',
      })),
    ),
  }
}

export function readRepository(repository: XmlElement): TdlRepository {
  const flag = (name: string, otherwise: boolean) => {
    const text = textAt(repository, name)
    return text === undefined ? otherwise : (BOOLEANS[text] ?? otherwise)
  }
  return {
    name: nameOf(repository),
    url: textAt(repository, 'url') ?? '',
    signed: flag('signed', false),
    persisted: flag('persisted', true),
    sslVerify: flag('sslverify', false),
  }
}

function readCommands(
  commands: readonly XmlElement[],
  content: (element: XmlElement) => TdlCommand['content'],
): TdlCommand[] {
  return commands
    .toSorted(
      (a, b) => Number(attributeOf(a, 'position')) - Number(attributeOf(b, 'position')) || 0,
    )
    .map((command) => ({ name: nameOf(command), content: content(command) }))
}

/** One for each key, the last one, where the first one stood. */
export function lastOfEach<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()]
}
