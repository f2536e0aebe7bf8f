// nodemailer's smtp-server that keeps a journal: smtp_server.js IP PORT JOURNAL [CERTIFICATE KEY]
'use strict';
const fs = require('fs');
const { SMTPServer } = require('smtp-server');

const [ip, port, journal, certificate, key] = process.argv.slice(2);
const out = fs.openSync(journal, 'a');

const server = new SMTPServer({
    authOptional: true,
    disabledCommands: certificate ? ['AUTH'] : ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    ...(certificate ? { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) } : {}),
    onRcptTo(address, session, callback) {
        if (!address.address.startsWith('no')) return callback();
        const refusal = new Error('5.1.1 no such user');
        refusal.responseCode = 550;
        return callback(refusal);
    },
    onData(stream, session, callback) {
        const pieces = [];
        stream.on('data', piece => pieces.push(piece));
        stream.on('end', () => {
            const { mailFrom, rcptTo } = session.envelope;
            fs.writeSync(out, JSON.stringify({
                from: mailFrom ? mailFrom.address : '',
                to: rcptTo.map(one => one.address),
                data: Buffer.concat(pieces).toString('base64')
            }) + '\n');
            callback(null, '2.0.0 kept');
        });
    }
});
server.on('error', () => {});
server.listen(Number(port), ip);
