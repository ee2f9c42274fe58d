import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openWebServer } from '../testing/web-server.ts'
import { openCloudHttp } from './cloud-http.ts'
import { Vsphere } from './vsphere.ts'

const answers: Readonly<Record<string, string>> = {
  RetrieveServiceContent:
    '<returnval><sessionManager type="SessionManager">s</sessionManager><propertyCollector type="PropertyCollector">p</propertyCollector></returnval>',
  Login: '<returnval/>',
  RetrievePropertiesEx:
    '<returnval><objects><obj type="Task">t</obj><propSet><name>state</name><val>success</val></propSet></objects></returnval>',
  Logout: '',
}

test('what somebody waits for is looked at again when an answer is lost', async () => {
  const lost = ['RetrievePropertiesEx']
  await using web = await openWebServer({
    '/sdk': (request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const [, method = ''] = /<soapenv:Body><(\w+)/.exec(body) ?? []
        if (lost[0] === method) {
          lost.shift()
          response.destroy()
        } else
          response.end(
            `<Envelope><Body><${method}Response>${answers[method]}</${method}Response></Body></Envelope>`,
          )
      })
    },
  })
  await using http = openCloudHttp()
  const { signal } = new AbortController()
  const account = { url: web.url, username: 'user', password: 'pass' }
  await using vsphere = await Vsphere.open(http, account, signal)
  const found = await vsphere.properties({ type: 'Task', id: 't' }, ['state'], signal)
  assert.equal(found.get('state')?.textContent, 'success')
  assert.deepEqual(lost, [])
})
