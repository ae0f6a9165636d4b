// SPDX-License-Identifier: Apache-2.0
// What a program written with @kubernetes/client-node does: informer, writes, apply, scale, errors,
// ports.
// usage: node client_node.mjs KUBECONFIG; prints "ok" or fails with what was not as expected.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const EVENT_MS = 10000;
const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const namespace = 'default';
const settings = (data) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'by-node', namespace }, data });

const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`,
  () => core.listNamespacedConfigMap({ namespace }));
const seen = [];
let wake = () => {};
for (const verb of ['add', 'update', 'delete']) {
  informer.on(verb, (object) => { seen.push(`${verb} ${object.metadata.name}`); wake(); });
}
informer.on('error', (error) => { seen.push(`error ${error}`); wake(); });

async function awaitEvent(text) {
  const deadline = Date.now() + EVENT_MS;
  while (!seen.includes(text)) {
    assert(Date.now() < deadline, `no "${text}" in ${JSON.stringify(seen)}`);
    await new Promise((resolve) => { wake = resolve; setTimeout(resolve, 100); });
  }
}

async function failsWith(code, promise) {
  await assert.rejects(promise, (error) => error.code === code);
}

await informer.start();
await core.createNamespacedConfigMap({ namespace, body: settings({ a: '1' }) });
await awaitEvent('add by-node');
await failsWith(409, core.createNamespacedConfigMap({ namespace, body: settings({}) }));
await failsWith(404, core.readNamespacedConfigMap({ namespace, name: 'nothing' }));

// Apply, as others would, with a conflict that is forced.
const apply = (data, manager, force) => objects.patch(settings(data), undefined, undefined, manager, force,
  k8s.PatchStrategy.ServerSideApply);
await failsWith(409, apply({ a: '2' }, 'node-test', false));
await apply({ a: '2', b: '3' }, 'node-test', true);
await awaitEvent('update by-node');
await apply({ b: '3' }, 'node-test', false);
const applied = await core.readNamespacedConfigMap({ namespace, name: 'by-node' });
assert.deepEqual(applied.data, { b: '3' });

// Replacing is a compare-and-set.
await core.replaceNamespacedConfigMap({ namespace, name: 'by-node', body: { ...applied, data: { c: '4' } } });
await failsWith(409, core.replaceNamespacedConfigMap({ namespace, name: 'by-node', body: applied }));

await apps.createNamespacedDeployment({ namespace, body: {
  metadata: { name: 'by-node' },
  spec: { replicas: 1, selector: { matchLabels: { app: 'by-node' } },
    template: { metadata: { labels: { app: 'by-node' } }, spec: { containers: [{ name: 'c', image: 'busybox:1' }] } } },
} });
// Its version rises with its pods, too: who loses that race reads again, as with Kubernetes.
for (let tries = 0; ; tries++) {
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name: 'by-node' });
  assert.equal(scale.spec.replicas, 1);
  try {
    await apps.replaceNamespacedDeploymentScale({ namespace, name: 'by-node', body: { ...scale, spec: { replicas: 2 } } });
    break;
  } catch (error) {
    assert(error.code === 409 && tries < 5, `${error}`);
  }
}
assert.equal((await apps.readNamespacedDeployment({ namespace, name: 'by-node' })).spec.replicas, 2);
await apps.deleteNamespacedDeployment({ namespace, name: 'by-node' });

// Port 7 echoes, 13 greets and ends.
await core.createNamespacedPod({ namespace, body: {
  metadata: { name: 'by-node' }, spec: { containers: [{ name: 'c', image: 'busybox:1' }] },
} });
for (const deadline = Date.now() + EVENT_MS; ;) {
  const { status } = await core.readNamespacedPod({ namespace, name: 'by-node' });
  if (status.phase === 'Running') break;
  assert(Date.now() < deadline, 'the pod does not run');
}
const forwarder = new k8s.PortForward(config);
async function forwarded(port, size, text) {
  const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()];
  let told = '', found = '';
  errors.on('data', (piece) => { told += piece; });
  const done = new Promise((resolve, reject) => {
    output.on('data', (piece) => { found += piece; if (found.length >= size) resolve(); });
    setTimeout(() => reject(new Error(`port ${port}: only ${found.length} bytes`)), EVENT_MS).unref();
  });
  const socket = await forwarder.portForward(namespace, 'by-node', [port], output, errors, input);
  const closed = new Promise((resolve) => { socket.on('close', resolve); });
  if (text) input.write(text);
  await done;
  assert.equal(told, '');
  if (text) socket.close();
  await closed;
  return found;
}
const sent = 'abcdefgh'.repeat(8192);
assert.equal(await forwarded(7, sent.length, sent), sent);
assert.equal(await forwarded(13, 9), 'good day\n');
await core.deleteNamespacedPod({ namespace, name: 'by-node' });

await core.deleteNamespacedConfigMap({ namespace, name: 'by-node' });
await awaitEvent('delete by-node');
assert(!seen.some((text) => text.startsWith('error')), JSON.stringify(seen));
await informer.stop(); // tells of the aborted watch as an error
console.log('ok');
process.exit(0);
