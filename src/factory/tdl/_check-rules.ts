/** Rules of a TDL that no grammar can tell. Source: Oz holds them when it has read a template that is valid. */
import { attributeOf, type Faults, textOf } from './_check.ts'
import { findAll, findOne, nameOf, textAt } from './_elements.ts'
import { isDebianLike } from './_systems.ts'
import { isAddress, isPossibleSize, show } from './_text-rules.ts'
import type { XmlElement } from './_xml.ts'

/** Source: Oz compares the host, with a port if one is given, with these. */
const LOCAL_HOSTS = ['localhost', '127.0.0.1', 'localhost.localdomain', '[::1]']

export function checkRules(
  template: XmlElement,
  { requireRootPassword }: { readonly requireRootPassword?: boolean | undefined },
  faults: Faults,
): void {
  const os = findOne(template, 'os')
  if (os && requireRootPassword && !findOne(os, 'rootpw'))
    faults.error(os.place, '<os> lacks its element <rootpw>, which is required here')
  checkAddresses(template, faults)
  const installUrl = findOne(template, 'os', 'install', 'url')
  if (installUrl) checkHost(installUrl, 'an installer', faults)
  for (const directory of findAll(template, 'os', 'install', 'extras', 'directory'))
    if (/^(https?|ftp):/i.test(attributeOf(directory, 'source') ?? ''))
      faults.error(directory.place, 'a directory cannot be had over the web; name its files')
  const size = findOne(template, 'disk', 'size')
  const why = size && isPossibleSize(textOf(size))
  if (size && why !== undefined) faults.error(size.place, `<size>: ${why}`)
  for (const list of ['precommands', 'commands'])
    checkPositions(findAll(template, list, 'command'), faults)
  const osName = textAt(template, 'os', 'name') ?? ''
  checkRepositories(findAll(template, 'repositories', 'repository'), osName, faults)
  warnOfTwins(findAll(template, 'files', 'file'), faults)
}

/** Addresses that begin as such and go on as nothing. */
function checkAddresses(template: XmlElement, faults: Faults): void {
  const install = ['url', 'iso', 'md5sum', 'sha1sum', 'sha256sum'].flatMap((name) =>
    findAll(template, 'os', 'install', name),
  )
  const contents = [
    ...findAll(template, 'files', 'file'),
    ...['precommands', 'commands'].flatMap((list) => findAll(template, list, 'command')),
  ].filter((content) => attributeOf(content, 'type') === 'url')
  for (const element of [...install, ...contents]) {
    const text = textOf(element)
    if (isAddress(text) === undefined && !URL.canParse(text))
      faults.error(element.place, `<${element.name}>: ${show(text)} is no address`)
  }
}

/** A guest that asks for this host by such a name asks itself. */
function checkHost(element: XmlElement, who: string, faults: Faults): void {
  const hosts = [...textOf(element).matchAll(/[a-z]+:\/\/(?:[^/\s@]*@)?([^/\s]*)/gi)]
  const local = hosts
    .map(([, host = '']) => host.toLowerCase())
    .find((host) => LOCAL_HOSTS.includes(host))
  if (local !== undefined)
    faults.error(
      element.place,
      `<url>: wanted an address that ${who} in the guest can reach, found ${show(local)}`,
    )
}

/** Where packages come from is an address, or for Debian a line of sources.list. */
export function checkRepositories(
  repositories: readonly XmlElement[],
  osName: string,
  faults: Faults,
): void {
  const isDebian = isDebianLike(osName)
  for (const url of repositories.flatMap((repository) => findAll(repository, 'url'))) {
    checkHost(url, 'programs', faults)
    const text = textOf(url)
    const isLine = isDebian && /^deb(-src)?\s/.test(text)
    if (text !== '' && !isLine && !/^(https?|ftp|file):\/\/[!-~]+$/i.test(text))
      faults.error(
        url.place,
        `<url>: wanted an address such as https://…${isDebian ? ', or a line such as `deb https://… bookworm main`' : ''}, found ${show(text)}`,
      )
  }
  warnOfTwins(repositories, faults)
}

/** All commands have a position, or none; positions count from 1 without a gap. */
function checkPositions(commands: readonly XmlElement[], faults: Faults): void {
  const placed = commands.filter((command) => attributeOf(command, 'position') !== undefined)
  if (placed.length === 0) return
  for (const command of commands)
    if (!placed.includes(command))
      faults.error(
        command.place,
        `the command '${nameOf(command)}' has no position; wanted one for every command or for none`,
      )
  const seen = new Map<number, XmlElement>()
  for (const command of placed) {
    const position = Number(attributeOf(command, 'position'))
    const earlier = seen.get(position)
    if (earlier)
      faults.error(
        command.place,
        `position ${position} is taken by '${nameOf(earlier)}' on line ${earlier.place.line}`,
      )
    else if (position > commands.length)
      faults.error(
        command.place,
        `position ${position} leaves a gap; wanted 1 to ${commands.length}, for as many commands`,
      )
    seen.set(position, earlier ?? command)
  }
}

function warnOfTwins(elements: readonly XmlElement[], faults: Faults): void {
  const seen = new Map<string, XmlElement>()
  for (const element of elements) {
    const name = nameOf(element)
    const earlier = seen.get(name)
    if (earlier)
      faults.warn(
        element.place,
        `'${name}' stands twice, first on line ${earlier.place.line}; the last one counts`,
      )
    seen.set(name, element)
  }
}
