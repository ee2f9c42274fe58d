/**
 * The host keys that cloud-init tells on a guest's console: whole, in a block at its end, or as fingerprints, in another
 * block or where it makes them. Source: cloud-init's modules keys-to-console and ssh; ssh-keygen(1).
 */
const MAX_KEYS = 20
const WHOLE = /-----BEGIN SSH HOST KEY KEYS-----(.{0,20000}?)-----END SSH HOST KEY KEYS-----/gs
const KEY = /\b((?:ssh|ecdsa|sk)-[\w@.-]{1,60}) (AAAA[A-Za-z0-9+/]{20,4000}={0,2})/g
/** `256 SHA256:… root@host (ED25519)` */
const LISTED = /\b(\d{3,5}) (SHA256:[A-Za-z0-9+/]{43}) [^\n(]{0,300}\((\w{2,10})\)/g
/** The fingerprint, and above its picture the kind: `+--[ED25519 256]--+` */
const MADE =
  /The key fingerprint is:[^\n]{0,300}\n[^\n]{0,300}?(SHA256:[A-Za-z0-9+/]{43})[^\n]{0,300}\n(?:[^\n]{0,300}\n){0,3}?[^\n]{0,300}\+-+\[(\w{2,10}) (\d{3,5})\]/g

/** Each as `ssh-ed25519 AAAA…` or `ssh-ed25519 SHA256:…`; none: the console tells none. */
export function hostKeysOn(consoleText: string): readonly string[] {
  const text = consoleText.replaceAll('\r', '')
  const blocks = [...text.matchAll(WHOLE)].map(([, block = '']) => block)
  const whole = blocks.flatMap((block) =>
    [...block.matchAll(KEY)].map(([, type, key]) => `${type} ${key}`),
  )
  const listed = [...text.matchAll(LISTED)].map(
    ([, bits = '', print, kind = '']) => `${typeOf(kind, bits)} ${print}`,
  )
  const made = [...text.matchAll(MADE)].map(
    ([, print, kind = '', bits = '']) => `${typeOf(kind, bits)} ${print}`,
  )
  // A guest that was booted before has printed its old keys before its new ones.
  return [...new Set([...whole, ...listed, ...made])].slice(-MAX_KEYS)
}

function typeOf(kind: string, bits: string): string {
  return kind === 'ECDSA' ? `ecdsa-sha2-nistp${bits}` : `ssh-${kind.toLowerCase()}`
}
