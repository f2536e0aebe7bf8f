// A Haraka plugin: refuses recipients that begin with "no" and keeps a journal of the rest.
'use strict';
const fs = require('fs');

exports.register = function () {
    this.out = fs.openSync(this.config.get('journal').trim(), 'a');
    this.register_hook('rcpt', 'check');
    this.register_hook('queue', 'keep');
};

exports.check = function (next, connection, params) {
    if (String(params[0].user).startsWith('no')) return next(DENY, 'no such user');
    return next(OK);
};

exports.keep = function (next, connection) {
    const { mail_from, rcpt_to, message_stream } = connection.transaction;
    message_stream.get_data(data => {
        fs.writeSync(this.out, JSON.stringify({
            from: mail_from.address,
            to: rcpt_to.map(one => one.address),
            data: data.toString('base64')
        }) + '\n');
        next(OK, 'kept');
    });
};
