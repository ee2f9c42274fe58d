import type { Tdl } from './tdl.ts'

/** Shorter ones are everywhere. */
const MIN_MASKED = 3

/** What must not be shown of a template: the password of root, the product key, passwords in addresses. */
export function secretsOf(tdl: Tdl): readonly string[] {
  const { rootPassword, productKey } = tdl
  const passwords = addressesOf(tdl).flatMap((address) => {
    const secret = /^[^/]*\/\/[^/\s@]*?:([^/\s@]+)@/.exec(address)?.[1]
    return secret === undefined ? [] : [secret, decoded(secret)]
  })
  return [...new Set([rootPassword, productKey, ...passwords].flatMap((secret) => secret || []))]
}

function addressesOf({ install, repositories, files, precommands, commands }: Tdl): string[] {
  return [
    install.url,
    ...(install.type === 'iso' ? install.extras.map(({ source }) => source) : []),
    ...(install.type === 'iso' && install.checksum ? [install.checksum.url] : []),
    ...repositories.flatMap(({ url }) => url.split(/\s+/)),
    ...[...files, ...precommands, ...commands].flatMap(({ content }) =>
      content.type === 'url' ? content.url : [],
    ),
  ]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A text with these secrets in it replaced. */
export function maskAll(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= MIN_MASKED)
    .toSorted((a, b) => b.length - a.length)
    .reduce((masked, secret) => masked.replaceAll(secret, '***'), text)
}
