// What scripts find in their scope, by the names and parameters of Eclipse Ditto.
var Ditto = {
  buildDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra) {
    const segments = channel === 'none'
      ? [namespace, name, group, criterion, action]
      : [namespace, name, group, channel, criterion, action];
    return { topic: segments.map(String).join('/'), path, headers: dittoHeaders, value, status, extra };
  },
  buildExternalMsg(headers, textPayload, bytePayload, contentType) {
    return { headers, textPayload, bytePayload, contentType };
  },
  // Bytes are code units; in pieces, since a call has a bound on its arguments.
  arrayBufferToString(buffer) {
    const bytes = new Uint8Array(buffer);
    let text = '';
    for (let at = 0; at < bytes.length; at += 4096) {
      text += String.fromCharCode(...bytes.subarray(at, at + 4096));
    }
    return text;
  },
  stringToArrayBuffer(text) {
    return Uint8Array.from({ length: text.length }, (_, at) => text.charCodeAt(at)).buffer;
  },
  asByteBuffer(buffer) {
    return dcodeIO.ByteBuffer.wrap(new Uint8Array(buffer));
  },
};

// What the engine has and Ditto has not.
['atob', 'btoa', 'navigator', 'performance', 'queueMicrotask'].forEach(name => delete globalThis[name]);

function require(module) {
  throw new Error('there is no module ' + module);
}

// In effect where a script does not define them.
function mapToDittoProtocolMsg(headers, textPayload, bytePayload, contentType) {
  if (contentType === 'application/vnd.eclipse.ditto+json') {
    return JSON.parse(textPayload);
  }
  if (contentType === 'application/octet-stream') {
    try {
      return JSON.parse(Ditto.arrayBufferToString(bytePayload));
    } catch (e) {
      return null;
    }
  }
  return null;
}

function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra) {
  const message =
    Ditto.buildDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra);
  return Ditto.buildExternalMsg(dittoHeaders, JSON.stringify(message), null, 'application/vnd.eclipse.ditto+json');
}

function mapToDittoProtocolMsgWrapper(message) {
  return mapToDittoProtocolMsg(message.headers, message.textPayload, message.bytePayload, message.contentType);
}

// Bytes are handed over as the code units of a text: of a buffer, of an array of bytes, or of a list of numbers.
var mapFromDittoProtocolMsgWrapper = (() => {
  const { isArray } = Array;
  const { isView } = ArrayBuffer;
  const bytesOf = payload => {
    if (payload instanceof ArrayBuffer) {
      return Ditto.arrayBufferToString(payload);
    }
    return isArray(payload) || isView(payload) ? Ditto.arrayBufferToString(Uint8Array.from(payload)) : undefined;
  };
  const handOver = message => {
    if (message === null || typeof message !== 'object') {
      return message;
    }
    const { headers, textPayload, bytePayload, contentType } = message;
    return { headers, textPayload, bytes: bytesOf(bytePayload), contentType, hasContentType: 'contentType' in message };
  };
  return message => {
    const [namespace, name, group, ...rest] = message.topic.split('/');
    const channel = group === 'things' ? rest.shift() : 'none';
    const [criterion, action] = rest;
    const result = mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, message.path,
      message.headers, message.value, message.status, message.extra);
    return isArray(result) ? result.map(handOver) : handOver(result);
  };
})();
