import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assert as check, oneof, property, string, webUrl } from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeWebRules, parseWebAddress, type WebRulesConfig } from './web-rules.ts'

const DEFAULTS: WebRulesConfig = {
  allowed_schemes: ['http', 'https'],
  denied_schemes: [],
  allowed_hosts: [],
  denied_hosts: [],
  allowed_ports: [80, 443],
  denied_ports: [],
}

/** Whether an address passes, and if it does, whether a number it leads to does. */
function passes(url: string, config: Partial<WebRulesConfig> = {}, address?: string): boolean {
  const rules = makeWebRules({ ...DEFAULTS, ...config })
  try {
    const parsed = parseWebAddress(url, rules)
    if (address !== undefined) rules.checkAddress(parsed, address)
    return true
  } catch (error) {
    assert.ok(isFailure(error, 'REQUEST_INVALID'), String(error))
    return false
  }
}

describe('the rules of web-download', () => {
  it('refuse numbers that are not on the public internet before anything is begun', () => {
    for (const url of [
      'http://127.0.0.1/x',
      'http://0x7f.1/',
      'http://[::1]/',
      'http://169.254.169.254/',
    ])
      assert.equal(passes(url), false, url)
    assert.ok(passes('http://127.0.0.1/x', { allowed_hosts: ['127.0.0.1'] }))
  })

  it('let pass what is on the web, at the usual ports', () => {
    for (const url of ['http://example.org/x', 'https://example.org:443/x', 'HTTPS://EXAMPLE.org'])
      assert.ok(passes(url), url)
    for (const url of [
      'ftp://example.org/x',
      'file:///etc/passwd',
      'swift://container/object',
      'http://example.org:8080/',
      'https://example.org:22/',
      'http://',
      'example.org/x',
      '',
      'http://[::1',
    ])
      assert.ok(!passes(url), url)
  })

  it('ask the list of what is denied only if nothing is allowed', () => {
    const both = { allowed_hosts: ['good.test'], denied_hosts: ['good.test'] }
    assert.ok(passes('http://good.test/', both))
    assert.ok(!passes('http://other.test/', both))
    assert.ok(!passes('http://bad.test/', { denied_hosts: ['bad.test'] }))
    assert.ok(passes('http://good.test/', { denied_hosts: ['bad.test'] }))
    const ports = { allowed_ports: [], denied_ports: [22] }
    assert.ok(passes('http://good.test:8080/', ports))
    assert.ok(!passes('http://good.test:22/', ports))
    assert.ok(!passes('http://good.test/', { allowed_schemes: [], denied_schemes: ['http'] }))
  })

  it('know a host however it is spelt', () => {
    const denied = { denied_hosts: ['127.0.0.1', 'Bad.test', '::1'] }
    for (const host of ['0x7f.1', '2130706433', '0177.0.0.1', '127.1', 'BAD.TEST', 'bad.test.'])
      assert.ok(!passes(`http://${host}/`, denied), host)
    assert.ok(!passes('http://[0:0:0:0:0:0:0:1]/', denied))
  })

  it('lead to no private address, unless its host is allowed by name', () => {
    for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', 'fe80::1', '0.0.0.0'])
      assert.ok(!passes('http://images.test/', {}, address), address)
    assert.ok(passes('http://images.test/', {}, '8.8.8.8'))
    const allowed = { allowed_hosts: ['images.test', '10.0.0.1'] }
    assert.ok(passes('http://images.test/', allowed, '127.0.0.1'))
    assert.ok(passes('http://10.0.0.1/', allowed, '10.0.0.1'))
    assert.ok(!passes('http://10.0.0.2/', allowed, '10.0.0.2'))
  })

  it('tell no password', () => {
    const rules = makeWebRules({ ...DEFAULTS, allowed_ports: [1] })
    assert.throws(
      () => parseWebAddress('http://user:secret@example.org/', rules),
      (error) => failsWith('REQUEST_INVALID')(error) && !String(error).includes('secret'),
    )
  })

  it('answer any text with yes or no', () => {
    check(property(oneof(string(), webUrl()), (text) => void passes(text)))
  })
})
