import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isFailure, messageOf } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { parseOsConfig } from './os-config.ts'

const CLOUDS = `
clouds:
  one:
    region_name: north
    interface: internal
    cacert: /etc/ca.pem
    auth:
      auth_url: https://one.test:5000/v3
      username: ann
      password: from-clouds
      project_name: demo
      user_domain_name: Default
      project_domain_id: default
  robot:
    auth_type: v3applicationcredential
    verify: false
    image_endpoint_override: http://images.test/
    auth:
      auth_url: https://two.test
      application_credential_id: "123"
      application_credential_secret: beep
  open:
    auth_type: none
    endpoint: http://127.0.0.1:9292/
  system:
    auth: { auth_url: "https://one.test", username: root, password: x, system_scope: all }
`

const PLACE = {
  name: undefined,
  region: undefined,
  interface: 'public',
  endpoints: {},
  cacert: undefined,
  insecure: false,
}

suite('clouds.yaml', () => {
  test('says where a cloud is and who one is there', () => {
    assert.deepEqual(parseOsConfig({ cloudsYaml: CLOUDS, cloud: 'one' }), {
      name: 'one',
      region: 'north',
      interface: 'internal',
      endpoints: {},
      cacert: '/etc/ca.pem',
      insecure: false,
      auth: 'keystone',
      authUrl: 'https://one.test:5000/v3',
      credentials: {
        method: 'password',
        user: { name: 'ann', domain: { name: 'Default' } },
        password: 'from-clouds',
      },
      scope: { project: { name: 'demo', domain: { id: 'default' } } },
    })
  })

  test('gives application credentials, which bring their scope, and endpoints of services', () => {
    const cloud = parseOsConfig({ cloudsYaml: CLOUDS, cloud: 'robot' })
    assert.deepEqual(cloud, {
      ...PLACE,
      name: 'robot',
      endpoints: { image: 'http://images.test' },
      insecure: true,
      auth: 'keystone',
      authUrl: 'https://two.test',
      credentials: {
        method: 'application_credential',
        credential: { id: '123' },
        secret: 'beep',
      },
      scope: undefined,
    })
  })

  test('gives clouds without Keystone', () => {
    assert.deepEqual(parseOsConfig({ cloudsYaml: CLOUDS, variables: { OS_CLOUD: 'open' } }), {
      ...PLACE,
      name: 'open',
      auth: 'none',
      endpoint: 'http://127.0.0.1:9292',
    })
  })

  test('gives the whole system as scope', () => {
    const cloud = parseOsConfig({ cloudsYaml: CLOUDS, cloud: 'system' })
    assert.ok(cloud.auth === 'keystone')
    assert.deepEqual(cloud.scope, { system: true })
  })

  test('takes secrets from secure.yaml', () => {
    const secureYaml = 'clouds: { one: { auth: { password: from-secure } } }'
    const cloud = parseOsConfig({ cloudsYaml: CLOUDS, secureYaml, cloud: 'one' })
    assert.ok(cloud.auth === 'keystone' && cloud.credentials.method === 'password')
    assert.equal(cloud.credentials.password, 'from-secure')
    assert.equal(cloud.authUrl, 'https://one.test:5000/v3')
  })

  test('needs no name when there is only one cloud and no variables', () => {
    const cloudsYaml = 'clouds: { only: { auth_type: none, endpoint: http://x.test } }'
    assert.equal(parseOsConfig({ cloudsYaml }).name, 'only')
    assert.throws(() => parseOsConfig({ cloudsYaml: CLOUDS }), /one, robot, open, system/)
  })

  test('that is wrong is refused, in one line without secrets', () => {
    for (const [cloudsYaml, message] of [
      ['clouds: { one: { auth: { password: hidden', /clouds.yaml is not YAML/],
      ['clouds: [hidden]', /wanted clouds by their names/],
      [
        'clouds: { one: { auth: { auth_url: "http://x", password: hidden } } }',
        /username is missing/,
      ],
      ['clouds: { one: { auth_type: magic, auth: { password: hidden } } }', /auth_type magic/],
      ['clouds: { two: {} }', /no cloud 'one': there are two/],
      ['', /none is configured/],
      ['clouds: { __proto__: { one: {} } }', /no cloud 'one'/],
    ] as const)
      assert.throws(
        () => parseOsConfig({ cloudsYaml, cloud: 'one' }),
        (error) => {
          assert.match(messageOf(error), message)
          assert.ok(!/hidden|\n/.test(messageOf(error)), messageOf(error))
          return failsWith('CONFIG_INVALID')(error)
        },
      )
  })
})

suite('OS_ variables', () => {
  const password = {
    OS_AUTH_URL: 'https://one.test/v3',
    OS_USERNAME: 'ann',
    OS_PASSWORD: 'x',
    OS_PROJECT_NAME: 'demo',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_REGION_NAME: 'south',
    OS_INTERFACE: 'adminURL',
    OS_IDENTITY_API_VERSION: '3',
  }

  test('say the same as a file', () => {
    assert.deepEqual(parseOsConfig({ variables: password }), {
      ...PLACE,
      region: 'south',
      interface: 'admin',
      auth: 'keystone',
      authUrl: 'https://one.test/v3',
      credentials: {
        method: 'password',
        user: { name: 'ann', domain: { name: 'Default' } },
        password: 'x',
      },
      scope: { project: { name: 'demo', domain: { name: 'Default' } } },
    })
  })

  test('give way to a cloud that is named', () => {
    const cloud = parseOsConfig({ variables: password, cloudsYaml: CLOUDS, cloud: 'open' })
    assert.equal(cloud.auth, 'none')
  })

  test('give a token, with Keystone or without', () => {
    const token = parseOsConfig({
      variables: { OS_AUTH_TYPE: 'token', OS_AUTH_URL: 'https://one.test', OS_TOKEN: 't' },
    })
    assert.ok(token.auth === 'keystone')
    assert.deepEqual(token.credentials, { method: 'token', token: 't' })
    const plain = parseOsConfig({
      variables: { OS_AUTH_TYPE: 'admin_token', OS_ENDPOINT: 'http://x.test/', OS_TOKEN: 't' },
    })
    assert.deepEqual(plain, {
      ...PLACE,
      auth: 'admin_token',
      endpoint: 'http://x.test',
      token: 't',
    })
    const none = parseOsConfig({
      variables: { OS_AUTH_TYPE: 'none', OS_ENDPOINT: 'http://x.test' },
    })
    assert.deepEqual(none, { ...PLACE, auth: 'none', endpoint: 'http://x.test' })
  })
})

test('whatever the files hold, the answer is a cloud or a CONFIG_INVALID', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((json) => `clouds: { one: ${json} }`),
      ),
      fc.dictionary(
        fc.string().map((name) => `OS_${name}`),
        fc.string(),
      ),
      (cloudsYaml, variables) => {
        try {
          parseOsConfig({ cloudsYaml, secureYaml: cloudsYaml, variables, cloud: 'one' })
        } catch (error) {
          assert.ok(isFailure(error, 'CONFIG_INVALID'), messageOf(error))
        }
      },
    ),
    { numRuns: 300 },
  )
})
